from eco.energy.machine import differences, fingerprint, machine, origin


def test_a_fingerprint_is_the_same_twice_and_of_this_machine():
    here = {"fingerprint": fingerprint(), "machine": machine()}
    assert not differences(here)
    assert origin(here) == "this machine"
    assert here["fingerprint"]["numpy"][0].isdigit()


def test_what_differs_is_named_there_and_here():
    changed = fingerprint() | {"kernel": "another"}
    assert differences({"fingerprint": changed}) == {"kernel": ("another", fingerprint()["kernel"])}
    assert origin({"fingerprint": changed, "machine": machine()}).endswith("kernel")
    assert origin({"fingerprint": changed, "machine": "ENIAC"}) == "another machine (ENIAC)"


def test_readings_without_a_fingerprint_are_of_no_known_machine():
    assert differences({}).keys() == fingerprint().keys()
    assert "no fingerprint" in origin({"machine": machine()})
