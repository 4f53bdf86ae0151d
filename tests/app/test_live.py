from live import Load


def load(*seconds: float, browser: int = 0) -> int:
    found = Load(browser=browser)
    for spent in seconds:
        found.note(spent)
    return found.doublings


def test_looks_that_cost_little_keep_the_interval():
    assert load(0.02, 0.05, 0.09) == 0


def test_one_slow_look_alone_changes_nothing():
    assert load(0.02, 5.0, 0.02) == 0
    assert load(5.0) == 0


def test_the_interval_is_doubled_as_often_as_the_work_needs_but_twice_at_most():
    assert load(0.15, 0.2, 0.3) == 1
    assert load(0.3, 0.4, 0.4) == 2
    assert load(9.0, 9.0, 9.0) == 2


def test_the_slower_side_decides():
    assert load(0.01, 0.01, 0.01, browser=1) == 1
    assert load(0.3, 0.3, 0.3, browser=1) == 2
