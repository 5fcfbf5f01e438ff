# db/queries/*.sql and db/migrations/*.sql become an enum and an array.
function(pawl_sql target)
  file(GLOB inputs CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/db/queries/*.sql ${PROJECT_SOURCE_DIR}/db/migrations/*.sql)
  set(header ${PROJECT_BINARY_DIR}/generated/db/sql.h)
  set(source ${PROJECT_BINARY_DIR}/generated/db/sql.c)
  add_custom_command(
    OUTPUT ${header} ${source}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${PROJECT_BINARY_DIR}/generated/db
    COMMAND sh ${PROJECT_SOURCE_DIR}/tools/gensql ${PROJECT_SOURCE_DIR}/db ${header} ${source}
    DEPENDS ${inputs} ${PROJECT_SOURCE_DIR}/tools/gensql
    COMMENT "SQL to C")
  target_sources(${target} PRIVATE ${header} ${source})
  # Rooms above include the header: it must stand before they compile.
  add_custom_target(${target}_sql DEPENDS ${header} ${source})
  add_dependencies(${target} ${target}_sql)
endfunction()
