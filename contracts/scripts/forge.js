'use strict';
// Runs forge from node_modules in the contracts folder.
const path = require('path');
const { spawnSync } = require('child_process');

const root = path.join(__dirname, '..');
const names = { 'linux-x64': 'linux-amd64', 'linux-arm64': 'linux-arm64', 'darwin-x64': 'darwin-amd64', 'darwin-arm64': 'darwin-arm64' };
const name = names[`${process.platform}-${process.arch}`];
const binary = path.join(root, 'node_modules', '@foundry-rs', `forge-${name}`, 'bin', 'forge');

module.exports = function forge(args) {
  const run = spawnSync(binary, args, { cwd: root, stdio: 'inherit', env: { ...process.env, FOUNDRY_DISABLE_NIGHTLY_WARNING: '1' } });
  if (run.error) {
    process.stderr.write(`forge did not start (${run.error.message}); run \`make setup\`\n`);
    return 1;
  }
  return run.status === null ? 1 : run.status;
};

if (require.main === module) process.exit(module.exports(process.argv.slice(2)));
