"""Mutation testing: the name by which a mutant is explained, and what `make mutants` tells of the list."""

from __future__ import annotations

from proofs.mutation.__main__ import differences, name_of

BEFORE = "return max(0, now_ms - self.created_ms)"
AFTER = "return max(1, now_ms - self.created_ms)"
METHOD = f"""\
# cacheaside.reading.entry.xǁEntryǁage_ms__mutmut_3: survived
--- src/cacheaside/reading/entry.py
+++ src/cacheaside/reading/entry.py
@@ -1,3 +1,3 @@
 def age_ms(self, now_ms: int) -> int:
-    {BEFORE}
+    {AFTER}
"""
LINES_LEFT_OUT = """\
# cacheaside.reading.fill.x__pause__mutmut_12: no tests
--- src/cacheaside/reading/fill.py
+++ src/cacheaside/reading/fill.py
@@ -1,5 +1,3 @@
     match room:
-        case 1:
-            return 2
         case _:
"""


def test_mutant_is_named_by_its_place_and_change_and_not_by_its_number() -> None:
    renumbered = METHOD.replace("mutmut_3", "mutmut_4").replace("@@ -1", "@@ -7")
    assert name_of(METHOD) == name_of(renumbered)
    assert name_of(METHOD) == f"reading/entry.py Entry.age_ms: {BEFORE} → {AFTER}"
    assert name_of(LINES_LEFT_OUT) == "reading/fill.py _pause: case 1: return 2 → nothing"


def test_survivor_without_explanation_and_explanation_without_survivor_are_found() -> None:
    assert differences(["a", "b"], ["b", "a"]) == []
    assert differences(["a", "a"], ["a", "b"]) == ["survived: a", "explained, and killed now: b"]
