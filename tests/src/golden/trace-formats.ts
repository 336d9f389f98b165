/** The kernel's texts of a trace. */
export {
  callForest,
  type CallNode,
  callTree,
  functionGraphText,
  type GraphEvent,
  printFunctionGraph,
} from '../../../packages/kernel/src/trace/formats/index.js';
