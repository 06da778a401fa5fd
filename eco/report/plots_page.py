"""The page that `dvc plots show` fills, with its JavaScript inside: it needs no network."""

import sys
from pathlib import Path

from eco.errors import extra

with extra("report"):
    import vl_convert

# DVC fills in what stands in single braces.
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
{{refresh_tag}}
<title>EcoInference: plots</title>
<style>
  body {{ font-family: system-ui, sans-serif; margin: 1.5rem; }}
  body > div {{ margin-bottom: 2rem; overflow-x: auto; }}
  img {{ max-width: 100%; height: auto; }}
</style>
<script>{bundle}</script>
</head>
<body>
<h1>EcoInference: plots</h1>
{{plot_divs}}
</body>
</html>
"""

if __name__ == "__main__":
    bundle = vl_convert.javascript_bundle()  # type: ignore[call-arg]
    Path(sys.argv[1]).write_text(PAGE.format(bundle=bundle), encoding="utf-8")
