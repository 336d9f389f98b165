/** Texts made from the trace's function entries. */
export { type CallNode, type CallTreeOptions, callForest } from './call-forest.js';
export { callTree } from './call-tree.js';
export { type FunctionGraphOptions, functionGraphText, printFunctionGraph } from './function-graph.js';
export { type GraphEvent, graphEvents } from './graph-events.js';
