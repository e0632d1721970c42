"""The LAN lab: a site of network namespaces behind one thin pipe, and everything that downloads a model there."""
