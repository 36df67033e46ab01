'use strict';
// Compiles the test token of contracts/test/utils and writes its artifact beside this file: `node tests/artifacts/build.js`.
const fs = require('fs');
const os = require('os');
const path = require('path');
const forge = require('../../contracts/scripts/forge');

const NAME = 'TestToken';
const out = fs.mkdtempSync(path.join(os.tmpdir(), 'crosspoint-test-artifacts-'));
try {
  const status = forge(['build', 'test/utils/Tokens.sol', '--out', out, '--cache-path', path.join(out, 'cache')]);
  if (status !== 0) process.exit(status);
  const built = JSON.parse(fs.readFileSync(path.join(out, 'Tokens.sol', `${NAME}.json`), 'utf8'));
  const artifact = { contractName: NAME, bytecode: built.bytecode.object };
  fs.writeFileSync(path.join(__dirname, `${NAME}.json`), `${JSON.stringify(artifact, null, 1)}\n`);
} finally {
  fs.rmSync(out, { recursive: true, force: true });
}
