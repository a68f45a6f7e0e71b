// Package spheron sells what Spheron sells, a broker of several sub-providers.
//
// It owns the paths, bodies and words of that cloud's API. It does not own how requests are sent,
// counted and tried again, which is upstream's, nor anything that tenants see.
//
// # Invariants
//
//   - A deployment is known by its name, the mark of its reference: there are no tags. A launch
//     looks for the mark among all deployments that there ever were, asked for anew, before it
//     sends its one create. Two that are not over under one mark stop whatever was asked, as
//     KindUnavailable, with an error in the log, until somebody ends one: names can be changed by
//     anybody in the dashboard, so nothing says which is ours.
//   - Ready is what the status says. The address is there long before.
//   - The cloud's list of active deployments leaves out what has ended, and how. A machine that
//     this process has seen and the list does not show is asked for by its id; one that it has
//     never seen is looked for in the list of all. Only what is in neither is not found.
//   - upstream.Fleet does not serve: it takes what one list leaves out for gone, and here the list
//     of the active ones leaves out how a machine ended.
//   - A machine that the provider took back is MachineLost, one that failed MachineFailed or
//     MachineLost; once Terminate was asked for, neither is found any more. Neither costs anything.
//   - In any 15 minutes at most 95 requests go out, and 9 creates of deployments, or as many per
//     cent and one less of what the settings say.
//
// # Offers
//
// The key is sub-provider, type of GPU, instance type, number of GPUs and the offer's id: all that
// must stay as it was for whoever chose it. What else a deploy takes comes from the list of offers
// at the launch. The region is "<sub-provider>-<cluster>", for machines and volumes alike: two
// sub-providers may use one name for two places. The key is at most 128 bytes; a longer one is left
// out and logged.
//
// # What the cloud cannot do
//
// No reboot, power or reinstallation, one SSH key, and of cloud-init packages, commands and files
// only. A machine cannot be ended before it has run for 20 minutes, or longer by its offer. A
// volume is attached but not mounted: at Voltage Park it is an NFS export whose address is in the
// dashboard, elsewhere a block device or a share. Volume.MountPath is therefore "", and who rents
// the machine mounts it.
//
// # Settings
//
//   - team: the id of the team that pays; without it the account's current one does, as the cloud
//     says. Set it where the account has several.
//   - requests-per-15-minutes, creates-per-15-minutes: what the cloud allows the account; 100 and
//     10 where they are missing. Raise them where it has granted you more.
//
// # Inferred
//
//   - 100 requests in 15 minutes are allowed, not 250: the lower figure is kept. Only creates of
//     deployments count among the 10 creates.
//   - Lists without teamId have every team's deployments and volumes that the key may see. None is
//     sent, so that another team's becoming current hides nothing.
//   - The list of deployments without a status has those that are over too. It grows for ever, and
//     past 16 MiB no launch gets through: the operator should have the account cleaned, or another
//     one, before some ten thousand deployments.
//   - CLUSTER, or "baremetal" in the type of GPU or the offer's name, is bare metal.
//   - A row is told from others by sub-provider, type of GPU, instance type, number of GPUs, id and
//     cluster; of two such the cheaper that can be had counts.
//   - A refusal with "team id" or "team not found" is about the team; with "balance" or "credit"
//     about money; with words like "no longer available" or "capacity" about stock.
//   - Machines that have failed or were reclaimed are over, and need no DELETE.
//   - A 404 for a machine within 90 seconds of its making says nothing.
//   - Regions of volumes and clusters of offers have the same ids. Voltage Park is not told the
//     region where it has but one.
//   - Paths of volumes take id, not volumeId. teamId goes with the making of a volume.
//   - Volumes of Sesterce need the id of a cloud that no list tells: they are left out. verda is
//     data-crunch under a new name.
//   - The volume's rate is per GB. A volume's size is not checked against its region's when it
//     grows; the cloud does that.
//   - price is what an offer costs, whatever spot_price and discountedPrice say; sources differ on
//     what SPOT is charged. hourlyRate is what a deployment costs, and an operator sees where the
//     two differ.
//
// # Confirmed
//
// teamId is required, offers have no top-level region, the instanceType filter works on groups, and
// user may be missing: measured by programs that run.
//
// Source of facts: the cloud's public API documents, read in 2026; no live call was made.
package spheron
