'use strict';
// Measures whole transactions and writes snapshots/Gas.json; with --check compares with what is checked in.
const forge = require('./forge');

const check = process.argv.includes('--check');
process.env.FORGE_SNAPSHOT_CHECK = String(check);
process.exit(forge(['test', '--isolate', '--match-path', 'test/gas/*', ...(check ? ['--gas-snapshot-check', 'true'] : [])]));
