'use strict';
// Compiles the contracts and writes their artifacts; with --check compares instead.
// An artifact is a function of the sources, the pinned compiler and foundry.toml alone.
const fs = require('fs');
const os = require('os');
const path = require('path');
const forge = require('./forge');

const CONTRACTS = ['AccessManager', 'CheckpointClient', 'CrosspointGateway', 'CrosspointRegistry', 'LockIntents', 'PointsVoucher'];
const root = path.join(__dirname, '..');
const folder = path.join(root, 'artifacts');

/** Object keys in order, so that equal artifacts are equal texts. */
function sorted(value) {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.keys(value).sort().map((key) => [key, sorted(value[key])]));
}

function artifact(out, name) {
  const built = JSON.parse(fs.readFileSync(path.join(out, `${name}.sol`, `${name}.json`), 'utf8'));
  // The compiler names immutables by syntax tree ids, which change with every unrelated edit: number them by place.
  const references = Object.values(built.deployedBytecode.immutableReferences || {}).sort((a, b) => a[0].start - b[0].start);
  const plain = {
    contractName: name,
    abi: built.abi,
    bytecode: built.bytecode.object,
    deployedBytecode: built.deployedBytecode.object,
    immutableReferences: Object.fromEntries(references.map((places, i) => [String(i), places])),
  };
  return `${JSON.stringify(sorted(plain), null, 1)}\n`;
}

const check = process.argv.includes('--check');
// A check never trusts what an earlier build left behind.
const out = check ? fs.mkdtempSync(path.join(os.tmpdir(), 'crosspoint-artifacts-')) : path.join(root, 'out');
let failed = 0;
try {
  const status = forge(['build', 'src', '--out', out, ...(check ? ['--cache-path', path.join(out, 'cache')] : [])]);
  if (status !== 0) process.exit(status);
  fs.mkdirSync(folder, { recursive: true });
  for (const name of CONTRACTS) {
    const file = path.join(folder, `${name}.json`);
    const text = artifact(out, name);
    if (!check) {
      fs.writeFileSync(file, text);
    } else if (!fs.existsSync(file) || fs.readFileSync(file, 'utf8') !== text) {
      process.stderr.write(`artifacts/${name}.json is not what the sources compile to; run \`npm run build\` and commit\n`);
      failed = 1;
    }
  }
  if (check && !failed) process.stdout.write(`${CONTRACTS.length} artifacts come from these sources\n`);
} finally {
  if (check) fs.rmSync(out, { recursive: true, force: true });
}
process.exit(failed);
