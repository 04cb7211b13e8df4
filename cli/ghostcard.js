#!/usr/bin/env node
// Starts the command line, which is in dist: npx remembers where this file is, so it stays here. Nothing is loaded to
// print the version.
'use strict';
const { existsSync } = require('node:fs');
const { join } = require('node:path');

const [, , argument, ...rest] = process.argv;
const main = join(__dirname, '../dist/cli/main.js');
if ((argument === '--version' || argument === '-V') && rest.length === 0) {
  console.log(require('../package.json').version);
} else if (existsSync(main)) {
  require('../dist/cli/common/ancestors.js'); // who started this process is noted before it loads the rest
  void require(main).main(process.argv);
} else {
  console.error(
    `ghostcard: ${main} is not there yet. Make it in ${join(__dirname, '..')} with "npm ci" or "npm run build".`,
  );
  process.exitCode = 2;
}
