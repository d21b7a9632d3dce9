// What MDN's HTTP Observatory says of https://localhost, as JSON:
// node observatory.mjs <port of http://> <port of https://>
import fs from "node:fs";
import net from "node:net";

// It asks at the ports 80 and 443, whatever it is told.
const ports = { 80: process.argv[2], 443: process.argv[3] };
const { connect } = net.Socket.prototype;
net.Socket.prototype.connect = function (...args) {
  const [options] = args.flat();
  options.port = ports[options.port];
  return connect.apply(this, args);
};

// The list of sites that browsers know to have TLS, which npm's scripts would download.
const main = import.meta.resolve("@mdn/mdn-http-observatory");
fs.writeFileSync(new URL("../conf/hsts-preload.json", main), "{}");

const { scan } = await import(main);
console.log(JSON.stringify(await scan("localhost")));
