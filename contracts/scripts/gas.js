'use strict';
// Measures whole transactions and writes snapshots/Gas.json; with --check fails if one costs otherwise than it says.
const forge = require('./forge');

process.env.FORGE_SNAPSHOT_CHECK = String(process.argv.includes('--check'));
process.exit(forge(['test', '--isolate', '--match-path', 'test/gas/*']));
