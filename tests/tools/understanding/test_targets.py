from __future__ import annotations

from pathlib import Path

from tools.understanding.findings import Kind, Reading
from tools.understanding.targets import documents_of, guess_targets


def readings(**kinds: Kind) -> list[Reading]:
    return [Reading(column=name, kind=kind, confidence=1.0, reasons="-") for name, kind in kinds.items()]


def test_a_name_that_says_it_is_surer_than_the_last_place() -> None:
    first = guess_targets(["a", "target", "z"])[0]
    assert first.column == "target"
    assert first.confidence > 0.8
    assert guess_targets(["a", "b", "z"])[0].column == "z"
    assert guess_targets(["a", "b", "z"])[0].confidence <= 0.5


def test_an_identifier_in_the_last_place_is_hardly_predicted() -> None:
    columns = readings(churned="boolean", months="numeric", customer_id="identifier")
    found = guess_targets([one.column for one in columns], readings=columns)
    assert [one.column for one in found] == ["churned", "customer_id"]
    assert "an identifier column, which is hardly predicted" in found[1].reasons


def test_what_a_name_is_about_counts_more_than_what_it_speaks_of() -> None:
    assert guess_targets(["SalePrice", "Sale.Type", "Sale.Condition"])[0].column == "SalePrice"
    assert guess_targets(["default", "student", "income"])[0].column == "default"
    assert guess_targets(["Salary", "Hits", "NewLeague"])[0].column == "Salary"
    assert guess_targets(["avg_price_per_room", "is_repeated_guest", "adr"])[0].column == "avg_price_per_room"


def test_places_and_dates_are_hardly_predicted() -> None:
    assert guess_targets(["carat", "price", "x", "y", "z"])[0].column == "price"
    assert guess_targets(["a", "x", "y"])[0].column == "y"
    found = guess_targets(["ozone", "wind", "month", "day"])
    assert (found[0].column, found[0].confidence) == ("ozone", 0.2)
    assert "a part of a date" in found[1].reasons


def test_goal_source_and_documentation_are_heard() -> None:
    names = ["rooms", "value", "distance"]
    assert guess_targets(names, goal="how much is the VALUE of a flat?")[0].column == "value"
    assert guess_targets(names, said="rooms")[0].column == "rooms"
    assert guess_targets(names, documents="Columns.\nTarget variable: value (thousands)")[0].column == "value"
    assert guess_targets(names, documents="value is a nice word. The target is elsewhere.")[0].column == "distance"


def test_two_that_are_as_likely_leave_it_open() -> None:
    found = guess_targets(["label", "a", "class", "b"])
    assert found[0].confidence < 0.5
    assert "is as likely" in found[0].reasons


def test_documentation_is_read_from_the_beginning_and_through_no_link(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("target: price" + "x" * 100_000)
    (tmp_path / "rows.csv").write_text("secret")
    (tmp_path / "description.txt").symlink_to("/etc/passwd")
    found = documents_of(tmp_path)
    assert found.startswith("target: price")
    assert len(found) <= 20_000
