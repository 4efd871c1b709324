"""Stand-in for the official Kubernetes plugin, `pulumi-resource-kubernetes` 4.34.2.

For programs of typed `pulumi_kubernetes` resources and `apiextensions.CustomResource` it gives the same result: type
tokens, ids, autonames, server-side apply, previews by server-side dry run, readiness rules, replacement on immutable
fields, refresh, import, deletion, secrets, and the same layout of the state, so that a stack can change plugins.

What differs:

- Refused, each with a message that names the official plugin: `kubernetes:yaml*`, `kubernetes:helm.sh*` and
  `kubernetes:kustomize*` types and functions, patch resources (`…Patch`), `renderYamlToDirectory`,
  `enableServerSideApply: false` (client-side apply) and `metadata.generateName`.
- Creation applies server-side after looking whether the object exists, where the official plugin posts it. Both refuse
  an object that exists, unless `upsertExistingObjects` is set. Here an object that an interrupted run of the same
  resource made is taken over: its field manager's name is derived from the resource's URN and the stack's backend
  (random in the official plugin).
- A difference is found between the last inputs and the new ones; the official plugin compares the live object as last
  recorded. Both notice changes made by others only after a refresh. A refresh here keeps a value that is only written
  differently (`0.5` for `500m`) as the program wrote it.
- An import leaves out what the server fills in for namespaces, services, claims and jobs, so that fewer programs must
  repeat it.
- A refresh counts an object that is on its way out as gone, and creation waits until its name is free.
- Computed fields are unknown in a preview of a new object; the official plugin leaves some of them out.
- A cluster that does not answer fails the provider's configuration, in previews too; the official plugin previews
  without it. `deleteUnreachable` and `skipUpdateUnreachable` work as there.
- An unknown field in an object of a built-in kind is refused by the server's own strict validation, not by OpenAPI
  checks in the plugin. A CustomResourceDefinition is applied, not put. An object deleted behind Pulumi's back is made
  again by an update without a refresh. Conflicts name each field, its manager and the ways out.
- A rollout that exceeds its progress deadline, and a CustomResourceDefinition that is not served, fail or wait here.
- `GetSchema` returns no resources: `pulumi import` needs `--generate-code=false`.
"""
