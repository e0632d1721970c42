# Run at install time: the unit, the user, the directories and the configuration, with the prefix in their paths.
set(SHOAL_BIN "${CMAKE_INSTALL_PREFIX}/${bindir}")
set(SHOAL_DOC "${CMAKE_INSTALL_PREFIX}/${docdir}")
if(CMAKE_INSTALL_PREFIX MATCHES "^/usr(/local)?/?$")
  set(SHOAL_ETC /etc)
else()
  set(SHOAL_ETC "${CMAKE_INSTALL_PREFIX}/etc")
endif()

configure_file(${packaging}/shoald.service.in ${packaged}/shoald.service @ONLY)
configure_file(${packaging}/tmpfiles.conf.in ${packaged}/tmpfiles.conf @ONLY)
configure_file(${packaging}/sysusers.conf ${packaged}/sysusers.conf COPYONLY)

# file(INSTALL) puts DESTDIR before its destinations by itself.
set(lib "${CMAKE_INSTALL_PREFIX}/lib")
file(INSTALL ${packaged}/shoald.service DESTINATION ${lib}/systemd/system)
file(INSTALL ${packaged}/sysusers.conf DESTINATION ${lib}/sysusers.d RENAME shoal.conf)
file(INSTALL ${packaged}/tmpfiles.conf DESTINATION ${lib}/tmpfiles.d RENAME shoal.conf)

if(NOT EXISTS $ENV{DESTDIR}${SHOAL_ETC}/shoal/shoald.toml)
  file(INSTALL ${packaged}/shoald.toml DESTINATION ${SHOAL_ETC}/shoal)
else()
  message(STATUS "Kept: $ENV{DESTDIR}${SHOAL_ETC}/shoal/shoald.toml")
endif()
