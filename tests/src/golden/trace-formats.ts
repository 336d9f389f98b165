/** The kernel's texts of a trace. */
export {
  type CallNode,
  callForest,
  callTree,
  functionGraphText,
  type GraphEvent,
  printFunctionGraph,
} from '@nvme-stack/kernel';
