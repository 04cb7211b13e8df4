#!/usr/bin/env node
// Starts the command line.
'use strict';
require('./typescript').acceptTypeScript();
void require('./main.ts').main(process.argv);
