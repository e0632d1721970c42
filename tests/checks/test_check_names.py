#!/usr/bin/python3
"""tools/check-names finds a name that hides one of a header, and leaves overloads and other folders' names alone."""
import pathlib
import unittest

from small_tree import run_on_tree

CHECKER = pathlib.Path(__file__).resolve().parents[2] / "tools" / "check-names"
HEADER = "#pragma once\nnamespace shoal {\ninline constexpr int kSize = 4;\nstruct Room {\n};\nint parse(int text);\n}  // namespace shoal\n"


def run_on(unnamed, include='#include "node/core/sizes.h"\n'):
    return run_on_tree(CHECKER, {
        "node/core/sizes.h": HEADER,
        "node/core/sizes.cc": '#include "node/core/sizes.h"\n',
        "node/api/other.cc": include + "namespace shoal {\nnamespace {\n" + unnamed + "\n}  // namespace\n}\n",
    })


class CheckNames(unittest.TestCase):
    def test_a_constant_a_type_and_a_function_that_hide_are_found(self):
        for unnamed, name in (("constexpr int kSize = 40;", "kSize"), ("struct Room {\n};", "Room"),
                              ("int parse(int number) {\n}", "parse")):
            status, out = run_on(unnamed)
            self.assertEqual(status, 1, out)
            self.assertIn(f"node/api/other.cc: {name} hides the one of node/core/sizes.h", out)

    def test_other_names_and_overloads_pass(self):
        status, out = run_on("constexpr int kOther = 40;\nint parse(double number) {\n}")
        self.assertEqual(status, 0, out)

    def test_a_header_that_the_folder_does_not_use_does_not_matter(self):
        status, out = run_on("constexpr int kSize = 40;", include="")
        self.assertEqual(status, 0, out)


if __name__ == "__main__":
    unittest.main()
