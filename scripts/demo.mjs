#!/usr/bin/env node
// Plays the demonstration with what `scripts/setup` has built.
import { runDemo } from '../dist/demo/main.js';

process.exit(await runDemo());
