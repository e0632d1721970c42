# Functional tests are Python files that drive the real programs; lab tests are scenarios of tools/bench/lan, held against
# what docs/benchmarks.md promises. Exit status 77 means skipped.
set(SHOAL_FUNCTIONAL_DIR ${CMAKE_CURRENT_LIST_DIR})
set(SHOAL_LAB ${CMAKE_CURRENT_LIST_DIR}/../../tools/bench/lan)

function(shoal_python_test label name timeout_s)
  set(command ${SHOAL_FUNCTIONAL_DIR}/test_${name}.py)
  if(label STREQUAL "lab")
    set(command ${SHOAL_LAB} ${name} --check)
  endif()
  add_test(NAME ${label}.${name} COMMAND /usr/bin/python3 -B ${command})
  # PROCESSORS: each starts several busy processes; two at once would measure each other.
  set_tests_properties(${label}.${name} PROPERTIES LABELS ${label} TIMEOUT ${timeout_s} PROCESSORS 2
                       SKIP_RETURN_CODE 77)
  if(TARGET shoald AND TARGET shoal)
    set_tests_properties(${label}.${name} PROPERTIES
                         ENVIRONMENT "SHOALD=$<TARGET_FILE:shoald>;SHOAL=$<TARGET_FILE:shoal>")
  endif()
endfunction()

# The timeouts are several times what the tests take on two cores, so that sanitizers fit in, too.
shoal_python_test(functional fake_hub 120)
shoal_python_test(functional example 120)
shoal_python_test(functional endpoint 300)
shoal_python_test(functional endpoint_clients 400)
shoal_python_test(functional js_endpoint 240)
shoal_python_test(functional sharing 300)
shoal_python_test(functional closed_cluster 600)
shoal_python_test(functional export 300)
shoal_python_test(functional adopt 180)
shoal_python_test(functional js_client 180)
shoal_python_test(functional page 300)
shoal_python_test(functional why 300)
shoal_python_test(functional api 180)
shoal_python_test(functional kill 600)
shoal_python_test(functional crash 900)
shoal_python_test(functional evict 600)
shoal_python_test(functional status 300)
shoal_python_test(functional faults 600)
shoal_python_test(functional soak 2400)  # 40 s unless SHOAL_SOAK says otherwise
shoal_python_test(functional load 300)
shoal_python_test(functional exit_status 300)
shoal_python_test(functional network 180)
shoal_python_test(functional namespaces 300)
foreach(scenario cold cold-one-file warm staggered killed slow-lan busy cpu-loaded disk-loaded heartbeats liar-hashes liar-bytes)
  shoal_python_test(lab ${scenario} 600)
endforeach()
