#!/usr/bin/env node
import { Command } from 'commander';

const program = new Command('demo')
  .description('The NVMe storage path from insmod to I/O.')
  .option('--profile <kernel>', 'kernel profile', '6.12');

program.parse();
