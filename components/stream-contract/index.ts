/** The component. A Pulumi program takes ./resource and ./hooks alone: the provider's process loads the rest. */
export * from "./hooks";
export * from "./resource";
