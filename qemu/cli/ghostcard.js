#!/usr/bin/env node
// Starts the command line. The sources are TypeScript and run as they are, a user's card files too: types are stripped,
// not checked (the editor and `npm test` do that), so that starting costs half a second.
'use strict';
const { join } = require('node:path');

require('ts-node').register({
  transpileOnly: true,
  project: join(__dirname, '..', '..', 'tsconfig.json'),
  // Cards may live in projects that have ghostcard in their node_modules.
  ignore: [/node_modules\/(?!ghostcard\/)/],
});
void require('./main.ts').main(process.argv);
