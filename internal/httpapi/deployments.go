package httpapi

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/event"
	gpuhealth "github.com/billetcloud/billet/internal/health"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/rest"
)

// deployments are a tenant's machines.
type deployments struct {
	db     *db.DB
	svc    *deployment.Service
	events *event.Service
}

func (h deployments) routes(r *rest.Router) {
	const all, one = Base + "/deployments", Base + "/deployments/{id}"
	rest.Write(r, rest.Operation{
		Method: http.MethodPost, Path: all, ID: "createDeployment", Tag: tagDeployments,
		Scope: string(account.WriteDeployments),
		Rate:  rest.Deploy, Status: http.StatusCreated, AlsoStatus: []int{http.StatusOK}, Summary: "Deploy an offer",
		Description: "Holds the first hour's price and returns at once; the machine is provisioned in the " +
			"background. Watch `status` and " +
			"`steps`, or wait with GET …?waitFor=running. The hold becomes a charge when SSH is ready, and is " +
			"released if the deployment " +
			"fails. Requires an available balance of $50.00, and at least the first hour's price.",
		Errors: []apierr.Code{
			apierr.InsufficientBalance, apierr.KeyLimitReached, apierr.QuotaExceeded, apierr.BudgetExceeded,
			apierr.AccountSuspended,
			apierr.NotFound, apierr.OfferUnavailable,
			apierr.Conflict,
			apierr.Unsupported,
		},
		// The service names the first where it finds none of them.
		Alternatives: [][]string{{"ssh_public_key", "sshPublicKey", "sshKeyId", "sshKeyIds"}},
	}, h.create)
	h.bulkRoute(r)
	rest.List(r, rest.Operation{
		Method: http.MethodGet, Path: all, ID: "listDeployments", Tag: tagDeployments,
		Scope:   string(account.ReadDeployments),
		Summary: "List deployments", Description: "Newest first, including ended ones.",
	}, h.list)
	rest.ReadVersioned(r, rest.Operation{
		Method: http.MethodGet, Path: one, ID: "getDeployment", Tag: tagDeployments,
		Scope:     string(account.ReadDeployments),
		ExtraTime: longestWait, Summary: "Get a deployment",
		Description: "With waitFor it is a long poll, and counts as one read.",
	}, h.get)
	rest.Write(r, rest.Operation{
		Method: http.MethodPatch, Path: one, ID: "updateDeployment", Tag: tagDeployments,
		Scope:   string(account.WriteDeployments),
		Summary: "Update a deployment", Errors: []apierr.Code{apierr.Conflict, apierr.KeyLimitReached,
			apierr.AccountSuspended},
	}, h.update)
	rest.Write(r, rest.Operation{
		Method: http.MethodDelete, Path: one, ID: "terminateDeployment", Tag: tagDeployments,
		Scope:      string(account.WriteDeployments),
		AlsoStatus: []int{http.StatusAccepted}, Summary: "Terminate a deployment",
		Description: "Billing stops with the response; the machine is removed in the background. Unused seconds of " +
			"the first hour are " +
			"refunded. Terminating an ended deployment succeeds and changes nothing. Before the minimum runtime it " +
			"is refused, or scheduled " +
			"with `?when=earliest` (202).",
		Errors: []apierr.Code{apierr.MinimumRuntimeNotMet, apierr.Conflict},
	}, h.terminate)
	rest.Read(r, rest.Operation{
		Method: http.MethodGet, Path: one + "/can-terminate", ID: "canTerminateDeployment", Tag: tagDeployments,
		Scope: string(account.ReadDeployments), Summary: "Preview termination",
		Description: "Whether the deployment can be terminated now, and the refund.",
	}, h.canTerminate)
	rest.List(r, rest.Operation{
		Method: http.MethodGet, Path: one + "/events", ID: "listDeploymentEvents", Tag: tagDeployments,
		Scope: string(account.ReadDeployments), Summary: "List a deployment's events",
		Description: "Every change of status and every charge, with time and cause, oldest first.",
	}, h.listEvents)

	h.healthRoutes(r)

	action := func(path, id, summary string) rest.Operation {
		return rest.Operation{
			Method: http.MethodPost, Path: one + path, ID: id, Tag: tagDeployments,
			Scope:  string(account.WriteDeployments),
			Status: http.StatusAccepted, Summary: summary,
			Description: "Returns 202 at once; `pendingAction` is null again when the action is done.",
			Errors:      []apierr.Code{apierr.Unsupported, apierr.Conflict},
		}
	}
	rest.Write(r, action("/reboot", "rebootDeployment", "Reboot a machine"), h.reboot)
	powerOn := action("/power-on", "powerOnDeployment", "Power on a machine")
	powerOn.Errors = append(powerOn.Errors, apierr.AccountSuspended)
	rest.Write(r, powerOn, h.powerOn)
	rest.Write(r, action("/power-off", "powerOffDeployment", "Power off a machine (billing continues)"), h.powerOff)
	rescue := action("/rescue", "rescueDeployment", "Start a machine's rescue system (billing continues)")
	rescue.Description = "Restarts the machine with a system in memory that serves SSH to the deployment's keys, " +
		"as root at the same address. The drives are not changed, and not mounted. It ends after 24 hours, if the " +
		"machine is restarted, and with POST /deployments/{id}/end-rescue. " + rescue.Description
	rest.Write(r, rescue, h.rescue)
	rest.Write(r, action("/end-rescue", "endDeploymentRescue", "Start a machine in rescue from its drive"), h.endRescue)
	rest.Write(r, action("/reinstall", "reinstallDeployment", "Reinstall a machine"), h.reinstall)
}

type deploymentPath struct {
	ID id.ID `path:"id" doc:"Id of the deployment, dep_…"`
}

// createDeployment is the body of the specification's page, with its one field in snake case, and
// later additions.
type createDeployment struct {
	Body struct {
		Provider          *string                `json:"provider,omitempty" maxLength:"100" example:"voltage-park" doc:"If given, must match the offer; the same holds for gpuType, gpuCount, region and instanceType."`
		OfferID           id.ID                  `json:"offerId,omitempty" minLength:"1" maxLength:"40" example:"off_abc123" doc:"Offer to deploy; it determines the hardware. Give one of offerId, candidates and quoteId."`
		GPUType           *string                `json:"gpuType,omitempty" maxLength:"100" example:"NVIDIA B200"`
		GPUCount          *int                   `json:"gpuCount,omitempty" minimum:"0" maximum:"1000000" example:"8"`
		Region            *string                `json:"region,omitempty" maxLength:"100" example:"dallas-usa-5"`
		OperatingSystem   *string                `json:"operatingSystem,omitempty" maxLength:"100" example:"Ubuntu 22.04" doc:"One of the offer's operating systems; optional if it has only one."`
		ImageID           id.ID                  `json:"imageId,omitempty" minLength:"1" maxLength:"40" doc:"One of the account's images to install, img_…, instead of an operating system; for offers with capabilities.customImages."`
		InstanceType      *provider.InstanceType `json:"instanceType,omitempty" means:"DEDICATED=VM" example:"BARE_METAL"`
		SSHPublicKey      *string                `json:"ssh_public_key,omitempty" minLength:"1" maxLength:"20000" format:"multiline" example:"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGAo9RN5L/MCU9HN/cBddg6cUNHcS8P7NpuQoKnelK1a user@machine" aka:"sshPublicKey" doc:"Authorized SSH key. Give one of ssh_public_key, sshKeyId and sshKeyIds."`
		SSHKeyID          *id.ID                 `json:"sshKeyId,omitempty" minLength:"1" maxLength:"40" doc:"Id of a saved SSH key."`
		SSHKeyIDs         []id.ID                `json:"sshKeyIds,omitempty" minItems:"1" maxItems:"20" maxLength:"40" doc:"Ids of saved SSH keys."`
		Name              string                 `json:"name" minLength:"1" maxLength:"64" example:"my-training-run"`
		VolumeIDs         []id.ID                `json:"volumeIds,omitempty" maxItems:"8" maxLength:"40" doc:"Volumes to attach, of the offer's provider and region."`
		CloudInit         *string                `json:"cloudInit,omitempty" maxLength:"65536" format:"multiline" doc:"Cloud-config text, if the offer supports it."`
		Tags              []string               `json:"tags,omitempty" maxItems:"20" doc:"Up to 20 tags."`
		Project           string                 `json:"project,omitempty" maxLength:"64" example:"llm-pretraining" doc:"Project of the deployment, 1 to 64 characters; none if omitted, or that of the API key."`
		AutoTerminateAt   *time.Time             `json:"autoTerminateAt,omitempty" doc:"When to auto-terminate, after the minimum runtime."`
		MaxSpend          *money.Micros          `json:"maxSpend,omitempty" example:"200" doc:"US dollars that the deployment may cost. It ends before an hour begins that would pass them; at least the hours that begin in the minimum runtime."`
		MaxRuntimeMinutes *int64                 `json:"maxRuntimeMinutes,omitempty" example:"480" doc:"Minutes after which the deployment ends, counted from its first hour; at least the minimum runtime."`
		MaxHourlyPrice    *money.Micros          `json:"maxHourlyPrice,omitempty" doc:"Refuse if the offer costs more, in US dollars per hour."`
		QuoteID           id.ID                  `json:"quoteId,omitempty" minLength:"1" maxLength:"40" doc:"Quote to use: its offer, at its price."`
		Candidates        []deployment.Candidate `json:"candidates,omitempty" minItems:"1" maxItems:"10" doc:"Acceptable offers, in the order in which to try them: if one fails to start, the next is tried. The result is one machine. The hold is that of the most expensive offer."`
		HealthAccess      gpuhealth.Access       `json:"healthAccess,omitempty" doc:"How long Billet's SSH key for checking the GPUs stays on the machine, if the offer's healthPolicy is report or require. launch: it is removed before the deployment runs. keep: it stays, and checks can be requested at any time. launch if omitted."`
		DryRun            bool                   `json:"dryRun,omitempty" example:"true" doc:"Validate everything, including the balance, without deploying: 200 with the deployment that would be created."`
	}
}

func (in *createDeployment) request() deployment.CreateRequest {
	b := &in.Body
	return deployment.CreateRequest{
		OfferID: b.OfferID, Quote: b.QuoteID, Candidates: b.Candidates, Provider: b.Provider, GPUType: b.GPUType,
		GPUCount: b.GPUCount, Region: b.Region, InstanceType: (*string)(b.InstanceType),
		OperatingSystem: b.OperatingSystem, Image: b.ImageID,
		Name: b.Name, SSHPublicKey: b.SSHPublicKey, SSHKeyID: b.SSHKeyID, SSHKeyIDs: b.SSHKeyIDs,
		VolumeIDs: b.VolumeIDs,
		CloudInit: b.CloudInit, Tags: b.Tags, AutoTerminateAt: b.AutoTerminateAt, MaxHourlyPrice: b.MaxHourlyPrice,
		MaxSpend: b.MaxSpend, MaxRuntimeMinutes: b.MaxRuntimeMinutes, DryRun: b.DryRun,
		HealthAccess: b.HealthAccess,
	}
}

func (h deployments) create(
	ctx context.Context, tx *db.Tx, c *rest.Call, in *createDeployment,
) (deployment.Deployment, error) {
	req := in.request()
	project, err := projectOf(c, in.Body.Project)
	if err != nil {
		return deployment.Deployment{}, err
	}
	req.Key, req.By, req.Project, req.Within = c.Caller.Key, creatorOf(c), project, c.Caller.Project
	d, err := h.svc.Create(ctx, tx, c.Caller.Account, req)
	if in.Body.DryRun {
		c.Change.None = true
		c.Status = http.StatusOK
	} else {
		c.Created(d.ID)
	}
	return d, err
}

type deploymentsQuery struct {
	rest.Paging
	rest.Named
	Sort      []deployment.SortKey `query:"sort" maxItems:"3" doc:"Sort keys, such as name,-createdAt: the first counts most. A leading hyphen sorts in descending order. -createdAt if omitted. createdAt is different for every deployment, so a key after it changes nothing."`
	SortBy    deployment.SortField `query:"sortBy" doc:"Another way to sort, by one key, with sortOrder."`
	SortOrder rest.SortOrder       `query:"sortOrder" doc:"Order of sortBy; asc if omitted."`
	Status    []deployment.Status  `query:"status" doc:"One or more statuses."`
	Provider  string               `query:"provider" maxLength:"100" doc:"Slug of the provider."`
	Region    string               `query:"region" maxLength:"100" doc:"Slug of the region."`
	Tag       string               `query:"tag" maxLength:"64" doc:"A tag that the deployment has."`
	GPUType   string               `query:"gpuType" maxLength:"100" doc:"GPU type, such as NVIDIA B200."`
	Project   string               `query:"project" maxLength:"64" doc:"Project of the deployment."`
	CreatedBy id.ID                `query:"createdBy" maxLength:"40" doc:"Id of the user or API key that created the deployment."`
	Search    string               `query:"search" maxLength:"64" doc:"Part of the name, a tag, the address or the id, case-insensitive."`
}

// filter is what the query asks for, within the caller's project.
func (q *deploymentsQuery) filter(c *rest.Call) deployment.Filter {
	return deployment.Filter{
		Statuses: q.Status, Provider: q.Provider, Region: q.Region, GPUType: q.GPUType, Tag: q.Tag,
		Project: cmp.Or(c.Caller.Project, q.Project), CreatedBy: q.CreatedBy, Name: q.Name, Search: q.Search,
		Sort: rest.SortKeys(q.Sort, q.SortBy, q.SortOrder),
	}
}

// Check finds parameters that contradict each other.
func (q deploymentsQuery) Check() []apierr.FieldError {
	return append(q.Paging.Check(), rest.CheckSort(q.Sort, q.SortBy, q.SortOrder)...)
}

func (h deployments) list(
	ctx context.Context, c *rest.Call, in *deploymentsQuery, p db.Page,
) ([]deployment.Deployment, db.Listed, error) {
	if in.Project != "" && c.Caller.Project != "" && in.Project != c.Caller.Project {
		return nil, db.Listed{Exact: true}, nil
	}
	return h.svc.List(ctx, h.db, c.Caller.Account, in.filter(c), p)
}

type getDeployment struct {
	deploymentPath
	WaitFor        deployment.Status `query:"waitFor" doc:"Return when the deployment has this status, has a final one, or the timeout is over, whichever is first."`
	TimeoutSeconds *int              `query:"timeoutSeconds" minimum:"1" maximum:"60" doc:"Timeout of waitFor; 25 if omitted. More than 50 counts as 50, because proxies give up after 60."`
}

// Check finds parameters that have no meaning without another.
func (in getDeployment) Check() []apierr.FieldError {
	return checkWait(in.TimeoutSeconds, in.WaitFor != "")
}

func checkWait(seconds *int, waits bool) []apierr.FieldError {
	if seconds != nil && !waits {
		return []apierr.FieldError{{Field: "query.timeoutSeconds", Message: "needs waitFor."}}
	}
	return nil
}

// Long polls end before proxies give up on them, which is after 30 or 60 seconds by default.
const (
	defaultWait = 25 * time.Second
	longestWait = 50 * time.Second
)

// waitTime is how long a long poll waits; seconds may be nil.
func waitTime(seconds *int) time.Duration {
	if seconds == nil {
		return defaultWait
	}
	return min(time.Duration(*seconds)*time.Second, longestWait)
}

func (h deployments) get(
	ctx context.Context,
	r db.Reader,
	c *rest.Call,
	in *getDeployment,
) (deployment.Deployment, error) {
	if in.WaitFor == "" {
		return h.svc.Get(ctx, r, c.Caller.Account, in.ID)
	}
	c.Wait()
	return h.svc.Wait(ctx, c.Caller.Account, in.ID, in.WaitFor, waitTime(in.TimeoutSeconds))
}

type updateDeployment struct {
	deploymentPath
	Body struct {
		Name                  *string                      `json:"name,omitempty" minLength:"1" maxLength:"64"`
		Tags                  *[]string                    `json:"tags,omitempty" maxItems:"20" doc:"Replaces all tags."`
		Project               rest.SetOrNull[string]       `json:"project,omitempty" maxLength:"64" doc:"Project of the deployment; null for none."`
		AutoTerminateAt       rest.SetOrNull[time.Time]    `json:"autoTerminateAt,omitempty" doc:"null cancels the auto-termination."`
		MaxSpend              rest.SetOrNull[money.Micros] `json:"maxSpend,omitempty" doc:"US dollars that the deployment may cost in all; null removes the limit."`
		MaxRuntimeMinutes     rest.SetOrNull[int64]        `json:"maxRuntimeMinutes,omitempty" doc:"Minutes after the start at which the deployment ends; null removes the limit."`
		TerminationProtection *bool                        `json:"terminationProtection,omitempty" doc:"While true, terminating is refused."`
	}
}

// Check refuses an update without a field.
func (in *updateDeployment) Check() []apierr.FieldError {
	b := &in.Body
	return someField(b.Name != nil || b.Tags != nil || b.Project.Given || b.AutoTerminateAt.Given ||
		b.MaxSpend.Given || b.MaxRuntimeMinutes.Given || b.TerminationProtection != nil)
}

// someField is an error where a PATCH changes nothing.
func someField(given bool) []apierr.FieldError {
	if given {
		return nil
	}
	return []apierr.FieldError{{Field: "body", Message: "must contain at least one field."}}
}

func (h deployments) update(
	ctx context.Context, tx *db.Tx, c *rest.Call, in *updateDeployment,
) (deployment.Deployment, error) {
	b := &in.Body
	project, err := newProjectOf(c, b.Project)
	if err != nil {
		return deployment.Deployment{}, err
	}
	return h.svc.Update(ctx, tx, c.Caller.Account, in.ID, deployment.UpdateRequest{
		Key: c.Caller.Key, Name: b.Name, Tags: b.Tags, Project: project, TerminationProtection: b.TerminationProtection,
		AutoTerminateAt:      b.AutoTerminateAt.Value,
		ClearAutoTerminateAt: b.AutoTerminateAt.Given && b.AutoTerminateAt.Value == nil,
		MaxSpend:             b.MaxSpend.Value, MaxRuntimeMinutes: b.MaxRuntimeMinutes.Value,
		ClearMaxSpend:   b.MaxSpend.Given && b.MaxSpend.Value == nil,
		ClearMaxRuntime: b.MaxRuntimeMinutes.Given && b.MaxRuntimeMinutes.Value == nil,
	})
}

type deleteDeployment struct {
	deploymentPath
	When string `query:"when" enum:"now,earliest" doc:"earliest: before the minimum runtime, schedule the termination and return 202. now if omitted."`
}

func (h deployments) terminate(
	ctx context.Context, tx *db.Tx, c *rest.Call, in *deleteDeployment,
) (deployment.Deployment, error) {
	d, scheduled, err := h.svc.Terminate(ctx, tx, c.Caller.Account, in.ID, in.When == "earliest")
	if scheduled {
		c.Status = http.StatusAccepted
	}
	return d, err
}

func (h deployments) canTerminate(
	ctx context.Context, c *rest.Call, in *deploymentPath,
) (deployment.CanTerminate, error) {
	return h.svc.CanTerminate(ctx, h.db, c.Caller.Account, in.ID)
}

type deploymentEventsQuery struct {
	deploymentPath
	rest.Paging
}

func (h deployments) listEvents(
	ctx context.Context, c *rest.Call, in *deploymentEventsQuery, p db.Page,
) ([]event.Event, db.Listed, error) {
	if _, err := h.svc.Get(ctx, h.db, c.Caller.Account, in.ID); err != nil {
		return nil, db.Listed{}, err
	}
	return h.events.List(ctx, h.db, c.Caller.Account, in.ID, p)
}

func (h deployments) reboot(
	ctx context.Context, tx *db.Tx, c *rest.Call, in *deploymentPath,
) (deployment.Deployment, error) {
	return h.svc.Reboot(ctx, tx, c.Caller.Account, in.ID)
}

func (h deployments) powerOn(
	ctx context.Context, tx *db.Tx, c *rest.Call, in *deploymentPath,
) (deployment.Deployment, error) {
	return h.svc.PowerOn(ctx, tx, c.Caller.Account, in.ID)
}

func (h deployments) powerOff(
	ctx context.Context, tx *db.Tx, c *rest.Call, in *deploymentPath,
) (deployment.Deployment, error) {
	return h.svc.PowerOff(ctx, tx, c.Caller.Account, in.ID)
}

func (h deployments) rescue(
	ctx context.Context, tx *db.Tx, c *rest.Call, in *deploymentPath,
) (deployment.Deployment, error) {
	return h.svc.Rescue(ctx, tx, c.Caller.Account, in.ID)
}

func (h deployments) endRescue(
	ctx context.Context, tx *db.Tx, c *rest.Call, in *deploymentPath,
) (deployment.Deployment, error) {
	return h.svc.EndRescue(ctx, tx, c.Caller.Account, in.ID)
}

type reinstallDeployment struct {
	deploymentPath
	Body struct {
		OperatingSystem *string `json:"operatingSystem,omitempty" minLength:"1" maxLength:"100" example:"Ubuntu 22.04" doc:"One of the offer's operating systems. If it and imageId are omitted, what is installed is installed again."`
		ImageID         id.ID   `json:"imageId,omitempty" minLength:"1" maxLength:"40" doc:"One of the account's images to install, img_…, instead of an operating system; if the capabilities have customImages."`
		EraseLocalDisks bool    `json:"eraseLocalDisks,omitempty" example:"true" doc:"Must be true: confirms that everything on the machine's own disks may be erased. Volumes are kept."`
	}
}

func (h deployments) reinstall(
	ctx context.Context, tx *db.Tx, c *rest.Call, in *reinstallDeployment,
) (deployment.Deployment, error) {
	return h.svc.Reinstall(ctx, tx, c.Caller.Account, in.ID, deployment.ReinstallRequest{
		EraseLocalDisks: in.Body.EraseLocalDisks, OperatingSystem: in.Body.OperatingSystem, Image: in.Body.ImageID,
	})
}
