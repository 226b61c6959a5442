#!/usr/bin/env python3
r"""Are random texts of the decoder valid for somebody else, too?

`hearth schema sample --data` writes random documents of each schema under the decoder's masks and
judges them by Hearth's own validator; this program judges the same texts with Python's jsonschema
(Debian: python3-jsonschema). It is no part of the tests: it needs a file of schemas, lines of
{id, schema}, such as maskbench's.

usage: soundness.py HEARTH DATA [--n N] [--how uniform,rarest,model] [--max N] [--formats]
                    [OPTION...]
       OPTIONs are handed on to `hearth schema sample`.
Exit code 0: every text was accepted by both.

Where jsonschema itself is known to differ:
  - multipleOf: it divides as floating point does; here decimals do.
  - patterns: its regular expressions are Python's, not ECMA-262's. Read as ECMA-262 means them here:
    `$` (not before a last line end), `.` (none of four line ends), \\d and \\w (ASCII), \\s. What remains, a text that only `pattern`
    or `patternProperties` turns down, is counted apart.
  - $schema in a part of a schema that is no resource of its own ($id): jsonschema goes over to that draft there. The standard has
    no such thing; one draft is for the whole.
  - formats: with --formats those that its further packages (python3-jsonschema's `format` extras)
    know are judged as well, and counted apart: they follow other readings of the standards.
"""
import argparse
import collections
import decimal
import functools
import json
import lzma
import re
import subprocess
import sys
import types

import jsonschema

SPACE = r"\t\n\v\f\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"


@functools.lru_cache(maxsize=None)
def as_ecma(pattern):
    """The pattern in Python's syntax, where the two mean different things by the same sign."""
    out, in_class, at = "", False, 0
    while at < len(pattern):
        c = pattern[at:at + 2] if pattern[at] == "\\" else pattern[at]
        at += len(c)
        if c == "\\s":
            c = SPACE if in_class else f"[{SPACE}]"
        elif c == "\\S" and not in_class:
            c = f"[^{SPACE}]"
        elif c == "$" and not in_class:
            c = r"\Z"
        elif c == "." and not in_class:
            c = r"[^\n\r\u2028\u2029]"
        elif c in "[]":
            in_class = c == "["
        out += c
    try:
        return re.compile(out, re.ASCII)
    except re.error:
        return re.compile(pattern)


# jsonschema's own modules search with these.
for module in (jsonschema._keywords, jsonschema._legacy_keywords, jsonschema._utils):
    if hasattr(module, "re"):
        module.re = types.SimpleNamespace(search=lambda pattern, text: as_ecma(pattern).search(text))

PATTERNS = {"pattern", "patternProperties", "additionalProperties", "propertyNames"}


def read_schemas(path, limit):
    opened = lzma.open(path, "rt") if path.endswith(".xz") else open(path)
    schemas = {}
    with opened as lines:
        for line in lines:
            if limit and len(schemas) == limit:
                break
            row = json.loads(line)
            schemas[row["id"]] = row["schema"]
    return schemas


def has_key(value, key):
    if isinstance(value, dict):
        return key in value or any(has_key(v, key) for v in value.values())
    return isinstance(value, list) and any(has_key(v, key) for v in value)


def fraction_of_multiple(validator, divisor, instance, schema):
    """multipleOf as decimals mean it."""
    if isinstance(instance, bool) or not isinstance(instance, (int, float)):
        return
    exact = decimal.Context(prec=700)
    if exact.remainder(decimal.Decimal(repr(instance)), decimal.Decimal(repr(divisor))):
        yield jsonschema.ValidationError(f"{instance} is not a multiple of {divisor}")


def without_inner_drafts(value, inner=False):
    """The schema without `$schema` where it says nothing."""
    if isinstance(value, dict):
        own = "$id" in value or "id" in value
        return {k: without_inner_drafts(v, True) for k, v in value.items() if k != "$schema" or own or not inner or isinstance(v, dict)}
    return [without_inner_drafts(v, True) for v in value] if isinstance(value, list) else value


def validator_of(schema, formats):
    schema = without_inner_drafts(schema)
    plain = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    kind = jsonschema.validators.extend(plain, {"multipleOf": fraction_of_multiple})
    return kind(schema, format_checker=kind.FORMAT_CHECKER if formats else None)


def judge(validator, text):
    """None: valid; else (keyword, message)."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as why:
        return "json", str(why)
    try:
        wrong = next(validator.iter_errors(value), None)
    except RecursionError:
        return None
    except Exception as why:  # a schema that jsonschema cannot read: not the text's fault
        return "unreadable", f"{type(why).__name__}: {why}"
    return (wrong.validator, wrong.message) if wrong else None


def tell(row, who, why, text):
    print(f"{row['id']}: {who}: {json.dumps(why)[:200]}: {json.dumps(text)[:300]}", flush=True)


def check_line(row, schema, counts, formats):
    if "error" in row:
        counts["refused"] += 1
        return
    counts["schemas"] += 1
    for failure in row["failures"]:
        counts["failed: own validator"] += 1
        tell(row, "own validator", failure["why"], failure["doc"])
    validator = validator_of(schema, formats)
    for text in row["docs"]:
        counts["texts"] += 1
        why = judge(validator, text)
        if why is None:
            continue
        if why[0] == "unreadable":
            counts["jsonschema cannot read the schema"] += 1
        elif why[0] in PATTERNS and (has_key(schema, "pattern") or has_key(schema, "patternProperties")):
            counts["turned down by Python's patterns"] += 1
            tell(row, "pattern", why[1], text)
        elif why[0] == "format":
            counts["turned down by Python's formats"] += 1
            tell(row, "format", why[1], text)
        else:
            counts["failed: jsonschema"] += 1
            tell(row, f"jsonschema: {why[0]}", why[1], text)


def run(how, options, schemas, more):
    counts = collections.Counter()
    command = [options.hearth, "schema", "sample", "--json", "--data", options.data, "--n",
               str(options.n), "--how", how, "--max", str(options.max)] + more
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as sample:
        for line in sample.stdout:
            row = json.loads(line)
            check_line(row, schemas[row["id"]], counts, options.formats)
    told = ", ".join(f"{k}: {v}" for k, v in counts.items())
    print(f"{how}: {told}", file=sys.stderr)
    failed = sum(v for k, v in counts.items() if k.startswith("failed"))
    return failed == 0 and counts["texts"] > 0 and sample.returncode == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("hearth")
    parser.add_argument("data")
    parser.add_argument("--n", type=int, default=20)
    parser.add_argument("--how", default="uniform,rarest")
    parser.add_argument("--max", type=int, default=0)
    parser.add_argument("--formats", action="store_true")
    options, more = parser.parse_known_args()
    schemas = read_schemas(options.data, options.max)
    good = [run(how, options, schemas, more) for how in options.how.split(",")]
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
