# Writes OUT, a .cc with the bytes of the page's files (see page_assets.h). Run by CMakeLists.txt at build time.
set(type_.html "text/html; charset=utf-8")
set(type_.css "text/css; charset=utf-8")
set(type_.js "text/javascript; charset=utf-8")
set(type_.svg "image/svg+xml")
set(type_.json "application/json")

set(body "")
foreach(path IN LISTS FILES)
  get_filename_component(extension ${path} LAST_EXT)
  get_filename_component(name ${path} NAME)
  if(NOT DEFINED type_${extension})
    message(FATAL_ERROR "${name}: no content type for ${extension}")
  endif()
  file(SHA256 ${path} hash)
  string(SUBSTRING ${hash} 0 16 hash)
  file(READ ${path} text)
  string(FIND "${text}" ")page\"" end)
  if(NOT end EQUAL -1)
    message(FATAL_ERROR "${name} contains the end of a raw string literal")
  endif()
  # g++ takes raw string literals of any length.
  string(APPEND body "    {\"${name}\", \"${type_${extension}}\", \"\\\"${hash}\\\"\", R\"page(${text})page\"},\n")
endforeach()
file(WRITE ${OUT} "#include \"node/api/page_assets.h\"\n\nnamespace shoal {\n\n"
  "static constexpr PageAsset kAssets[] = {\n${body}};\n\n"
  "std::span<const PageAsset> page_assets() {\n  return kAssets;\n}\n\n}  // namespace shoal\n")
