from pierhead.settings import describe


def test_every_setting_has_a_text() -> None:
    assert [key for key, setting in describe.all_settings().items() if not setting.text] == []
    assert [name for name, text in describe.sections().items() if not text] == []


def test_no_two_settings_share_a_variable() -> None:
    variables = [setting.variable for setting in describe.all_settings().values()]
    assert len(variables) == len({*variables, *describe.VARIABLES}) - len(describe.VARIABLES)
