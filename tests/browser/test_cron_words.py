"""Rules of cron in words: right, or none."""

import pytest
from playwright.sync_api import Page

from coordinator.domain.cron import parse_cron
from coordinator.errors import Invalid
from tests.browser.conftest import Watched

TOLD = {
    "0 9 * * *": "every day at 09:00",
    "@daily": "every day at 00:00",
    "@HOURLY": "every hour",
    "@weekly": "every Sunday at 00:00",
    "@monthly": "on the 1st of each month at 00:00",
    "@yearly": "on the 1st of January at 00:00",
    "* * * * *": "every minute",
    "*/5 * * * *": "every 5 minutes",
    "0/5 * * * *": "every 5 minutes",
    "0-59/15 * * * *": "every 15 minutes",
    "5 * * * *": "every hour at minute 5",
    "5/15 * * * *": "every hour at minutes 5, 20, 35 and 50",
    "0 */2 * * *": "every 2 hours from 00:00",
    "30 1/6 * * *": "every 6 hours from 01:30",
    "0 */12 * * *": "every day at 00:00 and 12:00",
    "0 */5 * * *": "every day at 00:00, 05:00, 10:00, 15:00 and 20:00",
    "0,30 9,17 * * *": "every day at 09:00, 09:30, 17:00 and 17:30",
    "0 9-17 * * 1-5": "every hour from 09:00 to 17:00, Monday to Friday",
    "*/15 9-17 * * MON-FRI": "every 15 minutes from 09:00 to 17:45, Monday to Friday",
    "*/10 9 * * *": "every day at 09:00, 09:10, 09:20, 09:30, 09:40 and 09:50",
    "*/5 9 * * *": "every 5 minutes from 09:00 to 09:55",
    "* 22-2 * * *": "every minute from 22:00 to 02:59",
    "0 18-6 * * *": "every hour from 18:00 to 06:00",
    "0 9 * * 1,3": "every Monday and Wednesday at 09:00",
    "0 9 * * sun,sat": "every Saturday and Sunday at 09:00",
    "0 9 * * sat-mon": "Saturday to Monday at 09:00",
    "0 9 * * 5-7": "Friday to Sunday at 09:00",
    "0 9 * * 0,7": "every Sunday at 09:00",
    "0 9 * * 7-2": "Sunday to Tuesday at 09:00",
    "0 9 * * 1-7/2": "every Monday, Wednesday, Friday and Sunday at 09:00",
    "0 9 * * 1/2": "every Monday, Wednesday and Friday at 09:00",
    "0 9 * * 5#2": "on the 2nd Friday of each month at 09:00",
    "0 9 * * fri#5,L1": "on the 5th Friday and last Monday of each month at 09:00",
    "0 9 * 1,7 L5": "on the last Friday of January and July at 09:00",
    "0 9 1,15 * ?": "on the 1st and 15th of each month at 09:00",
    "0 9 11-13 * *": "on the 11th, 12th and 13th of each month at 09:00",
    "0 9 21,22,23 * *": "on the 21st, 22nd and 23rd of each month at 09:00",
    "0 9 L * *": "on the last day of each month at 09:00",
    "0 9 1,L * *": "on the 1st and last day of each month at 09:00",
    "0 9 1 mar-may *": "on the 1st of each month from March to May at 09:00",
    "0 9 1 11-2 *": "on the 1st of each month from November to February at 09:00",
    "0 9 * 7 *": "every day in July at 09:00",
    "0 9 * */6 1": "every Monday in January and July at 09:00",
    "*/30 * * 12 *": "every 30 minutes, every day in December",
    # One of the two is enough.
    "0 9 13 * 5": "on the 13th of each month and every Friday at 09:00",
    "30 0 9 * * *": "every day at 09:00:30",
    "0 0 9 * * *": "every day at 09:00",
    "*/10 * * * * *": "every 10 seconds",
    "* * * * * *": "every second",
    "0 */5 * * * *": "every 5 minutes",
    # What would take long, or be nearly right, is left out.
    "*/7 * * * *": None,
    "30 */5 * * * *": None,
    "*/15 0 9 * * *": None,
    "3,17 1-9 * * *": None,
    "0 0-5,9,17,22 * * *": None,
    "50-10/5 * * * *": None,
    "0 9 28-3 * *": None,
    "0 9 */2 * *": None,
    "0 9 */2 * 1": None,
    "0 9 */15 * 1": None,
    "0 9 1-31 * 1": None,
    "0 9 1 * 0-6": None,
    "0 9 1,* * 1": None,
    "0 9 1 7 5": None,
    # Of Monday's early morning and its night, not of the one night that begins on Monday.
    "0 20-3 * * 1": None,
}

REFUSED = (
    *(
        "",
        "x",
        "0 9 * *",
        "60 * * * *",
        "0 24 * * *",
        "0 9 0 * *",
        "0 9 * 13 *",
        "0 9 * * 8",
        "9-9 * * * *",
        "*-5 * * * *",
    ),
    *(
        "0 9 * * mon#6",
        "0 9 W * *",
        "*/0 * * * *",
        "0 9 * * 5#2,1",
        "@never",
        "TZ=UTC 0 9 * *",
        "- * * * *",
        "/5 * * * *",
    ),
    *("1--2 * * * *", "0 9 * monday *", "0 9 * * *,"),
)


def said(page: Page, expressions: list[str]) -> list[str]:
    script = "list => import('/ui/core/cron_words.js').then(({ cronWords }) => list.map(cronWords))"
    found: list[str] = page.evaluate(script, expressions)
    return found


def test_a_rule_is_told_in_words_that_are_right_or_not_at_all(watched: Watched, open_coordinator: str):
    watched.page.goto(f"{open_coordinator}/ui")
    for rule in TOLD:
        parse_cron(rule, None, "cron", seconds=True)
    for rule in REFUSED:
        with pytest.raises(Invalid):
            parse_cron(rule, None, "cron", seconds=True)

    words = said(watched.page, list(TOLD))

    assert dict(zip(TOLD, words, strict=True)) == {rule: told or "" for rule, told in TOLD.items()}
    assert said(watched.page, list(REFUSED)) == [""] * len(REFUSED)
