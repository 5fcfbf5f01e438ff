# Unit tests (cmocka) and fuzzers: the file name says which room they belong to.
enable_testing()

function(pawl_test_program name source room)
  add_executable(${name} ${source})
  target_compile_definitions(${name} PRIVATE _GNU_SOURCE PAWL_TEST_DATA="${PROJECT_SOURCE_DIR}/tests/data" PAWL_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  target_link_libraries(${name} PRIVATE pawl_${room} ${ARGN})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  pawl_flags(${name})
endfunction()

if(CMOCKA_FOUND)
  file(GLOB unit_tests CONFIGURE_DEPENDS tests/unit/test_*.c)
  foreach(source ${unit_tests})
    get_filename_component(name ${source} NAME_WE)
    string(REGEX REPLACE "^test_([a-z]+)_.*$" "\\1" room ${name})
    pawl_test_program(${name} ${source} ${room} PkgConfig::CMOCKA)
    if(name MATCHES "_memory$") # every allocation of ours can be made to fail: tests/unit/memory_fault.h
      target_link_options(${name} PRIVATE -Wl,--wrap=malloc,--wrap=calloc,--wrap=strdup)
    endif()
    if(name STREQUAL test_db_simulation) # the store's randomness comes out of the run's seed
      target_link_options(${name} PRIVATE -Wl,--wrap=random_bytes)
    endif()
    if(name STREQUAL test_db_histories) # the server's rules and the device's, against one model
      target_link_libraries(${name} PRIVATE pawl_agent)
    endif()
    add_test(NAME ${name} COMMAND ${name})
    set_tests_properties(${name} PROPERTIES TIMEOUT 600)
  endforeach()
endif()

# With PAWL_FUZZ each fuzzer is a libFuzzer program; without, a small driver replays its committed corpus, so that every build runs it.
file(GLOB fuzzers CONFIGURE_DEPENDS tests/fuzz/fuzz_*.c)
foreach(source ${fuzzers})
  get_filename_component(name ${source} NAME_WE)
  string(REGEX REPLACE "^fuzz_(([a-z]+)_.*)$" "\\1" corpus ${name})
  string(REGEX REPLACE "^fuzz_([a-z]+)_.*$" "\\1" room ${name})
  if(PAWL_FUZZ)
    pawl_test_program(${name} ${source} ${room})
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  else()
    pawl_test_program(${name} "${source};${PROJECT_SOURCE_DIR}/tests/fuzz/replay.c" ${room})
    add_test(NAME ${name} COMMAND ${name} ${PROJECT_SOURCE_DIR}/tests/fuzz/corpus/${corpus})
  endif()
endforeach()

# The project's own scripts.
file(GLOB script_tests CONFIGURE_DEPENDS tests/tools/test_*.sh)
foreach(source ${script_tests})
  get_filename_component(name ${source} NAME_WE)
  string(REGEX REPLACE "^test_" "tools_" name ${name})
  add_test(NAME ${name} COMMAND sh ${source})
  set_tests_properties(${name} PROPERTIES TIMEOUT 600 SKIP_RETURN_CODE 77)
endforeach()

# The client that the public TUF conformance suite is run against: trust/ with the relaxed profile, and plain HTTP. Never part of a program.
file(GLOB relaxed_sources CONFIGURE_DEPENDS trust/*.c)
add_library(pawl_trust_relaxed STATIC ${relaxed_sources})
target_include_directories(pawl_trust_relaxed PUBLIC ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR}/generated)
target_compile_definitions(pawl_trust_relaxed PRIVATE _GNU_SOURCE PAWL_VERSION="${PROJECT_VERSION}" TRUST_RELAXED_PROFILE)
target_link_libraries(pawl_trust_relaxed PUBLIC pawl_common Threads::Threads)
pawl_flags(pawl_trust_relaxed)
add_executable(tuf-client tests/conformance/tuf_client.c)
target_compile_definitions(tuf-client PRIVATE _GNU_SOURCE)
target_link_libraries(tuf-client PRIVATE pawl_trust_relaxed PkgConfig::CURL)
set_target_properties(tuf-client PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
pawl_flags(tuf-client)
add_library(shift_clock MODULE tests/conformance/shift_clock.c)
target_compile_definitions(shift_clock PRIVATE _GNU_SOURCE)
set_target_properties(shift_clock PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests PREFIX "")

# What rollouts cost the store; built when asked for.
add_executable(bench_fleet EXCLUDE_FROM_ALL tools/bench.d/fleet.c)
target_compile_definitions(bench_fleet PRIVATE _GNU_SOURCE)
target_link_libraries(bench_fleet PRIVATE pawl_db)
set_target_properties(bench_fleet PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
pawl_flags(bench_fleet)

# CPU time of a refresh; built when asked for.
add_executable(bench_trust EXCLUDE_FROM_ALL tools/bench.d/trust.c)
target_compile_definitions(bench_trust PRIVATE _GNU_SOURCE)
target_link_libraries(bench_trust PRIVATE pawl_trust)
set_target_properties(bench_trust PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
pawl_flags(bench_trust)
