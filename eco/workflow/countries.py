"""The countries whose grids CodeCarbon knows, from its data alone: its import takes long."""

import difflib
import json
import re
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

#: Of CodeCarbon: a JSON object by ISO 3166 alpha-3 codes.
GRIDS = "data/private_infra/global_energy_mix.json"


def known_countries() -> dict[str, str]:
    """Names of countries by their codes; none where CodeCarbon isn't installed."""
    spec = find_spec("codecarbon")
    for folder in (spec and spec.submodule_search_locations) or []:
        with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            grids = json.loads(Path(folder, GRIDS).read_text(encoding="utf-8"))
            return {code: str(grid["country_name"]) for code, grid in grids.items()}
    return {}


def check_country(code: str) -> str:
    """The code of a country; a ValueError, with near misses, unless CodeCarbon has its grid."""
    names = known_countries()
    if code in names or (not names and re.fullmatch("[A-Z]{3}", code)):
        return code
    if not names:
        raise ValueError("must be an ISO 3166 code of three letters, such as FRA, USA or IND")
    meant = {name.upper(): key for key, name in names.items()} | {key: key for key in names}
    text = code[:40].strip().upper()
    close = [key for name, key in meant.items() if text and name.startswith(text)]
    close += [meant[name] for name in difflib.get_close_matches(text, meant)]
    near = ", ".join(f"{key} for {names[key]}" for key in list(dict.fromkeys(close))[:3])
    raise ValueError(
        f"must be one of the {len(names)} ISO 3166 codes in CodeCarbon's {Path(GRIDS).name}"
        + (f" (did you mean {near}?)" if near else ", such as FRA, USA or IND")
    )
