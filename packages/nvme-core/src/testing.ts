/** For tests: a transport that needs no bus, and the small controller behind it. */
export {
  FakeNvmeTransport,
  type FakeTransportDeps,
  type Intercept,
  type SentCommand,
} from './testing/fake-transport.js';
export {
  type TinyAnswer,
  TinyController,
  type TinyControllerOptions,
  type TinyNamespace,
} from './testing/tiny-controller.js';
