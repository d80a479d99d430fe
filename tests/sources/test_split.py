"""Splitting: whatever the blocks, the records are those that a JSON parser sees."""

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from auditkeep.errors import InputError
from auditkeep.sources.batch import Batch, Form, Limits, Single
from auditkeep.sources.records import Rejected
from auditkeep.sources.split import Splitter


class Head(msgspec.Struct):
    id: str = ""


FORM = Form(
    msgspec.json.Decoder(list[Head]).decode,
    msgspec.json.Decoder(Head).decode,
    lambda record, head: record == head,
    frozenset({"Records"}),
    lambda head: f'"id": "{head.id}"'.encode(),
)
SMALL = Limits(record=4_000, lost=20_000, window=300)


def cut(data: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def split(
    data: bytes | bytearray, size: int = 1 << 20, limits: Limits = SMALL
) -> tuple[list[tuple[bytes, str]], list[Rejected]]:
    records: list[tuple[bytes, str]] = []
    rejected = []
    blocks = iter([data]) if isinstance(data, bytearray) else cut(data, size)
    for item in Splitter(blocks, FORM, limits):
        if isinstance(item, Batch):
            indexes = range(len(item.heads))
            records += [
                (r, item.position(i))
                for i, (r, _) in zip(indexes, item.records(indexes), strict=True)
            ]
        elif isinstance(item, Single):
            records.append((item.raw, item.position))
        else:
            rejected.append(item)
    return records, rejected


strings = st.text(st.sampled_from('ab"\\{}[],: \n\u00e9\u2028'), max_size=12)
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | strings,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(strings, inner, max_size=3),
    max_leaves=8,
)
records = st.lists(
    st.fixed_dictionaries({"id": strings}, optional={"more": values, "Records": st.just(0)}),
    max_size=12,
)
shapes = st.sampled_from(("holder", "late holder", "list", "lines", "values", "pretty", "single"))


def text_of(items: list[dict[str, Any]], shape: str) -> bytes:
    match shape:
        case "holder":
            text = json.dumps({"Records": items}, separators=(",", ":"))
        case "late holder":
            text = json.dumps({"a": [1, {"b": "]"}], "Records": items, "z": [items]})
        case "list":
            text = json.dumps(items)
        case "lines":
            text = "\n".join(json.dumps(i) for i in items)
        case "values":
            text = " ".join(json.dumps(i, indent=1) for i in items)
        case "pretty":
            text = json.dumps({"Records": items}, indent=2, ensure_ascii=False)
        case _:
            text = json.dumps({"Records": items[:1]})
    return text.encode()


@settings(max_examples=300)
@given(records, shapes, st.integers(1, 400))
@example([{"id": '},{"id'}, {"id": "x"}, {"id": "y"}], "holder", 7)
def test_records_are_those_a_parser_sees(
    items: list[dict[str, Any]], shape: str, size: int
) -> None:
    data = text_of(items, shape)
    found, rejected = split(data, size)
    expected = items[:1] if shape == "single" else items
    assert [json.loads(raw) for raw, _ in found] == expected
    assert all(raw in data for raw, _ in found)
    nothing = not expected and shape in {"lines", "values"}
    assert rejected == ([Rejected("", "There is nothing in it.")] if nothing else [])


@settings(max_examples=60)
@given(records.map(lambda some: some * 9), shapes)
def test_a_text_given_away_as_a_whole_is_read_as_one_in_blocks_is(
    items: list[dict[str, Any]], shape: str
) -> None:
    data = text_of(items, shape)
    limits = Limits(record=len(data), window=300)
    assert split(bytearray(data), limits=limits) == split(data, 300, limits)


@given(st.binary(max_size=300) | records.map(lambda r: json.dumps(r).encode()), st.integers(1, 50))
def test_any_bytes_end_in_records_and_rejections(data: bytes, size: int) -> None:
    found, rejected = split(data, size)
    assert found or rejected or data.strip() in {b"[]", b"{}"}


@given(records.filter(bool), st.integers(1, 60), st.integers(0, 10_000))
@example([{"id": "", "more": [{}, {":": None}], "Records": 0}], 1, 42)
def test_a_text_that_breaks_off_gives_what_came_before(
    items: list[dict[str, Any]], size: int, at: int
) -> None:
    whole = text_of(items, "holder")
    data = whole[: at % len(whole)]
    found, rejected = split(data, size)
    end = complete = 0
    for raw, _ in split(whole)[0]:
        end = whole.index(raw, end) + len(raw)
        complete += end <= len(data)
    assert [json.loads(raw) for raw, _ in found[:complete]] == items[:complete]
    # looking for where it goes on, values inside the broken record may be taken for records
    assert all(raw in data for raw, _ in found[complete:])
    assert rejected


def test_positions_name_the_list_and_the_index() -> None:
    found, _ = split(text_of([{"id": str(n)} for n in range(40)], "holder"), 64)
    assert [position for _, position in found] == [f"Records[{n}]" for n in range(40)]


def test_positions_of_lines_are_their_numbers() -> None:
    found, rejected = split(b'\n{"id": "a"}\n\n{"id": "b"}\r\n{"id": \n{"id": "d"}\n', 5)
    assert [position for _, position in found] == ["record 1", "line 4", "line 5", "line 6"]
    assert not rejected


def test_a_record_with_broken_inside_does_not_hide_its_neighbours() -> None:
    found, rejected = split(b'{"Records":[{"id":"a"},{"id":},{"id":"c"}]}')
    assert [raw for raw, _ in found] == [b'{"id":"a"}', b'{"id":}', b'{"id":"c"}']
    assert not rejected


def test_a_record_with_mixed_up_quotes_does_not_hide_what_follows() -> None:
    items = b",".join(b'{"id":"%d","v":"x"}' % n for n in range(30))
    data = b'{"Records":[' + items.replace(b'"7","v":"x"', b'"7","v":"x""') + b"]}"
    found, rejected = split(data, 100)
    read = [raw for raw, _ in found]
    assert b'{"id":"6","v":"x"}' in read
    assert b'{"id":"29","v":"x"}' in read
    assert len(read) + len(rejected) >= 29


def test_a_record_too_large_is_passed_over() -> None:
    big = b'{"id":"big","v":["%s",{"id":"\\\\"}]}' % (b'x\\"' * 3_000)
    data = b'{"Records":[{"id":"a"},' + big + b',{"id":"c"}]}'
    for size in (1, 17, 1_000):
        found, rejected = split(data, size)
        assert [json.loads(raw)["id"] for raw, _ in found] == ["a", "c"]
        assert rejected == [Rejected("Records[1]", "it is larger than 4,000 bytes")]


def test_a_line_too_long_is_passed_over() -> None:
    data = b'{"id":"a"}\n' + b'{"v":"' + b"x" * 9_000 + b'"}\n{"id":"c"}\n'
    for size in (10, 1_000):
        found, rejected = split(data, size)
        assert [json.loads(raw)["id"] for raw, _ in found] == ["a", "c"]
        assert rejected == [Rejected("line 2", "it is larger than 4,000 bytes")]


@pytest.mark.parametrize(
    "opening", [b'{"Records":[{"id":"', b"[[", b'[{"a":', b'{"id":1}\n"', b'[{"id":"a"},"']
)
def test_a_value_without_end_is_given_up(opening: bytes) -> None:
    data = opening + b"[" * 60_000
    found, rejected = split(data, 1_000)
    assert len(found) <= 1
    assert rejected


def test_what_is_no_json_is_one_rejection() -> None:
    for data in (b"AnalysisType: rule\n", b"# heading\n{}", b"\0" * 100, b"<xml/>"):
        assert split(data) == ([], [Rejected("", "It is not JSON.")])


def test_a_source_that_breaks_keeps_what_came_before() -> None:
    def blocks() -> Iterator[bytes]:
        yield b'{"Records":[{"id":"a"},{"id":"b"},{"i'
        raise InputError("It broke.")

    found = list(Splitter(blocks(), FORM, SMALL))
    assert [f.raw for f in found if isinstance(f, Single)] == [b'{"id":"a"}', b'{"id":"b"}']
    assert found[-1] == Rejected("", "It broke.")


@settings(max_examples=60)
@given(st.lists(st.integers(0, 2**64), min_size=40, max_size=200), st.data())
def test_a_few_records_of_a_batch_are_the_right_ones(
    numbers: list[int], data: st.DataObject
) -> None:
    items = [
        {"id": f"{n:020}", "copy": {"id": f"{n:020}"}, "at": at} for at, n in enumerate(numbers)
    ]
    text = text_of(items, "holder")
    for item in Splitter(iter([text]), FORM, Limits()):
        assert isinstance(item, Batch | Single)
        if isinstance(item, Batch):
            wanted = sorted(data.draw(st.sets(st.integers(0, len(item.heads) - 1), max_size=2)))
            raws = [json.loads(raw) for raw, _ in item.records(wanted)]
            first = len(items) - len(item.heads)
            assert raws == [items[first + index] for index in wanted]
