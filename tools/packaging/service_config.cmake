# Makes the service's configuration file from what `shoald --print-example-config` prints: every key is there, commented
# out, but the two that differ for a service.
#   cmake -DSHOALD=<program> -DOUT=<file> -P service_config.cmake
cmake_minimum_required(VERSION 3.25)
execute_process(COMMAND ${SHOALD} --print-example-config OUTPUT_VARIABLE text COMMAND_ERROR_IS_FATAL ANY)

function(set_key name value)
  string(REGEX REPLACE "\n#${name} = [^\n]*\n" "\n${name} = \"${value}\"\n" changed "${text}")
  if(changed STREQUAL text)
    message(FATAL_ERROR "shoald --print-example-config has no line '#${name} = ...'")
  endif()
  set(text "${changed}" PARENT_SCOPE)
endfunction()

set_key(cache_dir /var/lib/shoal/hub)
set_key(log_format journal)
file(WRITE ${OUT} "${text}")
