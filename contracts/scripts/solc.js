#!/usr/bin/env node
// solc from npm with the command line that forge expects of a native solc.
'use strict';

const fs = require('fs');
const solc = require('solc');

const version = solc.version().replace(/\.Emscripten\.clang$/, '');
const args = process.argv.slice(2);

if (args.includes('--version')) {
  process.stdout.write(`solc, the solidity compiler commandline interface\nVersion: ${version}.Emscripten.clang\n`);
} else if (args.includes('--standard-json')) {
  process.stdout.write(solc.compile(fs.readFileSync(0, 'utf8')));
} else {
  process.stderr.write(`solc.js: only --version and --standard-json are known, not ${args.join(' ')}\n`);
  process.exit(1);
}
