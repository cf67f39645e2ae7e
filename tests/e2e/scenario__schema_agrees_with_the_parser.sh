#!/bin/sh
# The JSON Schema for editors takes every shipped scenario and every example of LANGUAGE.md, and
# refuses every bad one that it can know: shape-*.json, several-*.json. What only the plan can know (sense-*.json)
# it takes; syntax-*.json are no JSON.
set -u
top=${TOP:-$(cd "$(dirname "$0")/../.." && pwd)}
py=
for p in python3 /usr/bin/python3; do
    "$p" -c 'import jsonschema' 2>/dev/null && py=$p && break
done
if [ -z "$py" ]; then
    echo "ok 1 - the schema agrees with the parser # SKIP python3-jsonschema (make deps)"
    echo "1..1"
    exit 0
fi
"$py" - "$top" <<'PY'
import glob, json, os, re, sys
import jsonschema

top, n, bad = sys.argv[1], 0, 0
schema = json.load(open(top + "/lab/scenarios/schema/scenario.schema.json"))
jsonschema.Draft7Validator.check_schema(schema)
validator = jsonschema.Draft7Validator(schema)


def result(ok, what, why=""):
    global n, bad
    n += 1
    bad += not ok
    print("%s %d - %s" % ("ok" if ok else "not ok", n, what))
    if not ok and why:
        print("# " + str(why).replace("\n", "\n# "))


def complaint(doc):
    error = jsonschema.exceptions.best_match(validator.iter_errors(doc))
    return error and "%s: %s" % (list(error.absolute_path), error.message)


for path in sorted(glob.glob(top + "/lab/scenarios/*.json")):
    why = complaint(json.load(open(path)))
    result(not why, os.path.basename(path) + " is taken", why)
for path in sorted(glob.glob(top + "/tests/data/bad-scenarios/s[he]*.json")):
    name = os.path.basename(path)
    why = complaint(json.load(open(path)))
    if name.startswith(("shape-", "several-")):
        result(why, name + " is refused")
    else:
        result(not why, name + " is taken", why)
text = open(top + "/lab/scenarios/LANGUAGE.md").read()
whole = [b for b in re.findall(r"```json\n(.*?)```", text, re.S) if b.lstrip().startswith("{")]
result(len(whole) >= 1, "LANGUAGE.md has a whole example")
for block in whole:
    why = complaint(json.loads(block))
    result(not why, "an example of LANGUAGE.md is taken", why)
print("1..%d" % n)
sys.exit(bad > 0)
PY
