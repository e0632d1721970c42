# What is installed where, and the .deb.
#   cmake --install build/release [--prefix DIR]     programs, unit, documents
#   cd build/release && cpack -G DEB                 shoal_<version>_<arch>.deb
#
# Under /usr and /usr/local the configuration goes to /etc, anywhere else to <prefix>/etc, so that a user can install
# into a directory of their own. An existing configuration is kept.
include(GNUInstallDirs)
set(packaging ${CMAKE_CURRENT_LIST_DIR})
set(packaged ${PROJECT_BINARY_DIR}/packaging)

install(TARGETS shoald shoal DESTINATION ${CMAKE_INSTALL_BINDIR})
# All symbols are bound before main, so that the tables of function addresses can be read-only.
foreach(program shoald shoal)
  target_link_options(${program} PRIVATE -Wl,-z,relro,-z,now)
endforeach()

# Made from what the programs print, so that they cannot disagree: the service's configuration, man pages, completion.
add_custom_command(
  OUTPUT ${packaged}/shoald.toml
  COMMAND ${CMAKE_COMMAND} -DSHOALD=$<TARGET_FILE:shoald> -DOUT=${packaged}/shoald.toml
          -P ${packaging}/service_config.cmake
  DEPENDS shoald ${packaging}/service_config.cmake
  VERBATIM)
set(from_help ${packaged}/shoald.8 ${packaged}/shoal.1 ${packaged}/shoal.bash ${packaged}/_shoal ${packaged}/shoal.fish)
find_package(Python3 REQUIRED COMPONENTS Interpreter)
add_custom_command(
  OUTPUT ${from_help}
  COMMAND Python3::Interpreter ${packaging}/from-help --shoald $<TARGET_FILE:shoald> --shoal $<TARGET_FILE:shoal>
          --out ${packaged}
  DEPENDS shoald shoal ${packaging}/from-help
  VERBATIM)
if(SHOAL_SANITIZE)
  set(with_all "")  # nobody installs these
else()
  set(with_all ALL)
endif()
add_custom_target(shoal_packaged ${with_all} DEPENDS ${packaged}/shoald.toml ${from_help})

install(FILES ${packaged}/shoald.8 DESTINATION ${CMAKE_INSTALL_MANDIR}/man8)
install(FILES ${packaged}/shoal.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES ${packaged}/shoal.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME shoal)
install(FILES ${packaged}/_shoal DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions)
install(FILES ${packaged}/shoal.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
install(FILES ${PROJECT_SOURCE_DIR}/tools/monitoring/grafana-dashboard.json
              ${PROJECT_SOURCE_DIR}/tools/monitoring/prometheus-alerts.yaml
        DESTINATION ${CMAKE_INSTALL_DOCDIR}/monitoring)
install(FILES ${PROJECT_SOURCE_DIR}/README.md ${PROJECT_SOURCE_DIR}/CHANGELOG.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/docs/ DESTINATION ${CMAKE_INSTALL_DOCDIR} FILES_MATCHING PATTERN "*.md")

# The rest has paths inside that depend on the prefix, which is known only when it is installed.
install(CODE "set(packaging \"${packaging}\")
set(packaged \"${packaged}\")
set(bindir \"${CMAKE_INSTALL_BINDIR}\")
set(docdir \"${CMAKE_INSTALL_DOCDIR}\")")
install(SCRIPT ${packaging}/install_service.cmake)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME shoal)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT "shoal maintainers <maintainers@shoal.invalid>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "AI models, fetched once per site and shared on the LAN")
set(CPACK_PACKAGE_DESCRIPTION "A service that gets Hugging Face models for all machines of a LAN: each byte crosses the
internet once, and neighbours share the rest over BitTorrent v2. Models lie in an ordinary
Hugging Face cache, and nothing is published into it before the publisher's hash matched.")
set(CPACK_STRIP_FILES ON)
set(CPACK_SET_DESTDIR ON)
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
# Beside the libraries: TLS roots, and whatever makes the user and the directories.
set(CPACK_DEBIAN_PACKAGE_DEPENDS
    "ca-certificates, systemd | systemd-standalone-sysusers, systemd | systemd-standalone-tmpfiles")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS sqlite3)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
    ${packaging}/conffiles ${packaging}/postinst ${packaging}/prerm ${packaging}/postrm)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
include(CPack)
