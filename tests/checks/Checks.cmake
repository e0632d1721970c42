# The project checks itself: include arrows, and documents against what is there. A second each at most.
find_package(Python3 REQUIRED COMPONENTS Interpreter)

function(shoal_check name)
  add_test(NAME checks.${name} COMMAND Python3::Interpreter ${ARGN})
  # 77: a program that the check asks is not built; ctest shows it as skipped.
  set_tests_properties(checks.${name} PROPERTIES LABELS unit TIMEOUT 60 SKIP_RETURN_CODE 77)
endfunction()

shoal_check(layers ${PROJECT_SOURCE_DIR}/tools/check-layers)
shoal_check(layers_finds_what_is_wrong ${CMAKE_CURRENT_LIST_DIR}/test_check_layers.py)
shoal_check(names ${PROJECT_SOURCE_DIR}/tools/check-names)
shoal_check(names_finds_what_is_wrong ${CMAKE_CURRENT_LIST_DIR}/test_check_names.py)
shoal_check(docs ${PROJECT_SOURCE_DIR}/tools/check-docs)
shoal_check(docs_finds_what_is_wrong ${CMAKE_CURRENT_LIST_DIR}/test_check_docs.py)
shoal_check(docs_against_programs ${PROJECT_SOURCE_DIR}/tools/check-docs
            --shoald $<TARGET_FILE:shoald> --shoal $<TARGET_FILE:shoal>)
