// This container's address on the network of the services. The proxy is on users' networks too and must not
// listen there; those are closed, so the way to everywhere else leads through the services' network.
"use strict";
const { readFileSync } = require("node:fs");
const { networkInterfaces } = require("node:os");

function address() {
  const route = readFileSync("/proc/net/route", "utf8")
    .split("\n")
    .slice(1)
    .map((line) => line.split("\t"))
    .find((fields) => fields[1] === "00000000" && fields[7] === "00000000");
  const found = route && networkInterfaces()[route[0]]?.find((one) => one.family === "IPv4");
  if (!found) throw new Error("this container has no way to the other services; set PROXY_IP and PROXY_API_IP");
  return found.address;
}

module.exports = { address };

if (require.main === module) {
  try {
    console.log(address());
  } catch (error) {
    console.error(`proxy: ${error.message}.`);
    process.exit(1);
  }
}
