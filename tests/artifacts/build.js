'use strict';
// Compiles the test token of contracts/test/utils and writes its artifact beside this file. With --check it only
// fails unless the artifact is what the source compiles to.
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
  const file = path.join(__dirname, `${NAME}.json`);
  const text = `${JSON.stringify(artifact, null, 1)}\n`;
  if (!process.argv.includes('--check')) {
    fs.writeFileSync(file, text);
  } else if (fs.readFileSync(file, 'utf8') !== text) {
    process.stderr.write(`${path.relative(process.cwd(), file)} is not what its source compiles to: run node tests/artifacts/build.js\n`);
    process.exitCode = 1;
  }
} finally {
  fs.rmSync(out, { recursive: true, force: true });
}
