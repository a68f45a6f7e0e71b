package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
)

type deploymentPath struct {
	ID id.ID `path:"id" doc:"Id of the deployment, dep_…"`
}

// createDeployment is the body of the specification's page, with its one field in snake case, and what came later.
type createDeployment struct {
	Body struct {
		Provider        *string                `json:"provider,omitempty" maxLength:"100" example:"voltage-park" doc:"If given, must agree with the offer; so must gpuType, gpuCount, region and instanceType."`
		OfferID         id.ID                  `json:"offerId,omitempty" minLength:"1" maxLength:"40" example:"off_abc123" doc:"What to launch; decides everything about the hardware. Give one of offerId, candidates and quoteId."`
		GPUType         *string                `json:"gpuType,omitempty" maxLength:"100" example:"NVIDIA B200"`
		GPUCount        *int                   `json:"gpuCount,omitempty" minimum:"0" maximum:"1000000" example:"8"`
		Region          *string                `json:"region,omitempty" maxLength:"100" example:"dallas-usa-5"`
		OperatingSystem *string                `json:"operatingSystem,omitempty" maxLength:"100" example:"Ubuntu 22.04" doc:"One of the offer's; may be left out where it has one only."`
		InstanceType    *string                `json:"instanceType,omitempty" enum:"BARE_METAL,VM,SPOT,CLUSTER" means:"DEDICATED=VM" example:"BARE_METAL"`
		SSHPublicKey    *string                `json:"ssh_public_key,omitempty" minLength:"1" maxLength:"20000" format:"multiline" example:"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGAo9RN5L/MCU9HN/cBddg6cUNHcS8P7NpuQoKnelK1a user@machine" aka:"sshPublicKey" doc:"Who may log in. Give one of ssh_public_key, sshKeyId and sshKeyIds."`
		SSHKeyID        *id.ID                 `json:"sshKeyId,omitempty" minLength:"1" maxLength:"40" doc:"A saved key."`
		SSHKeyIDs       []id.ID                `json:"sshKeyIds,omitempty" minItems:"1" maxItems:"20" maxLength:"40" doc:"Saved keys."`
		Name            string                 `json:"name" minLength:"1" maxLength:"64" example:"my-training-run"`
		VolumeIDs       []id.ID                `json:"volumeIds,omitempty" maxItems:"8" maxLength:"40" doc:"Volumes to attach; they must be of the offer's provider and region."`
		CloudInit       *string                `json:"cloudInit,omitempty" maxLength:"65536" format:"multiline" doc:"A cloud-config text, where the offer can run it."`
		Tags            []string               `json:"tags,omitempty" maxItems:"20" doc:"Up to 20 words of yours."`
		AutoTerminateAt *time.Time             `json:"autoTerminateAt,omitempty" doc:"When to terminate by itself; after the minimum runtime."`
		MaxHourlyPrice  *money.Micros          `json:"maxHourlyPrice,omitempty" doc:"Refuse where the offer has become dearer, in US dollars."`
		QuoteID         id.ID                  `json:"quoteId,omitempty" minLength:"1" maxLength:"40" doc:"A quote: its offer, at its price."`
		Candidates      []deployment.Candidate `json:"candidates,omitempty" minItems:"1" maxItems:"10" doc:"Offers that would do, in the order in which to try them: the next one is asked for where one fails before it runs. One machine comes of it, and the hold is that of the dearest."`
		DryRun          bool                   `json:"dryRun,omitempty" example:"true" doc:"Check everything, money included, and make nothing: 200 with what would be."`
	}
}

// keyFields are the ways to say who may log in. The room speaks of the first where it finds none.
var keyFields = []string{"ssh_public_key", "sshPublicKey", "sshKeyId", "sshKeyIds"}

func (in *createDeployment) request() deployment.CreateRequest {
	b := &in.Body
	return deployment.CreateRequest{
		OfferID: b.OfferID, Quote: b.QuoteID, Candidates: b.Candidates, Provider: b.Provider, GPUType: b.GPUType, GPUCount: b.GPUCount, Region: b.Region, InstanceType: b.InstanceType,
		OperatingSystem: b.OperatingSystem, Name: b.Name, SSHPublicKey: b.SSHPublicKey, SSHKeyID: b.SSHKeyID, SSHKeyIDs: b.SSHKeyIDs,
		VolumeIDs: b.VolumeIDs, CloudInit: b.CloudInit, Tags: b.Tags, AutoTerminateAt: b.AutoTerminateAt, MaxHourlyPrice: b.MaxHourlyPrice, DryRun: b.DryRun,
	}
}

type deploymentsQuery struct {
	page
	sorting
	Status   []deployment.Status `query:"status" doc:"One or more statuses." enum:"pending,deploying,running,stopped,terminating,terminated,failed,interrupted"`
	Provider string              `query:"provider" maxLength:"100" doc:"Slug of the provider."`
	Region   string              `query:"region" maxLength:"100" doc:"Slug of the region."`
	Tag      string              `query:"tag" maxLength:"64" doc:"One tag that the deployment has."`
	Search   string              `query:"search" maxLength:"64" doc:"Part of the name, whatever the case."`
}

func (q deploymentsQuery) check() []apierr.FieldError {
	return append(q.page.check(), q.sorting.check()...)
}

type getDeployment struct {
	deploymentPath
	WaitFor        string `query:"waitFor" enum:"pending,deploying,running,stopped,terminating,terminated,failed,interrupted" doc:"Answer when the deployment has this status, or a final one, or when the time is over; whichever is first."`
	TimeoutSeconds *int   `query:"timeoutSeconds" minimum:"1" maximum:"60" doc:"How long waitFor may wait; 25 if left out. More than 50 counts as 50, since proxies give up after 60."`
}

func (in getDeployment) check() []apierr.FieldError {
	if in.TimeoutSeconds != nil && in.WaitFor == "" {
		return []apierr.FieldError{{Field: "query.timeoutSeconds", Message: "needs waitFor."}}
	}
	return nil
}

type updateDeployment struct {
	deploymentPath
	Body struct {
		Name                  *string              `json:"name,omitempty" minLength:"1" maxLength:"64"`
		Tags                  *[]string            `json:"tags,omitempty" maxItems:"20" doc:"Takes the place of all tags."`
		AutoTerminateAt       setOrNull[time.Time] `json:"autoTerminateAt,omitempty" doc:"null takes a planned end back."`
		TerminationProtection *bool                `json:"terminationProtection,omitempty" doc:"While true, a terminate is refused."`
	}
}

func (in *updateDeployment) check() []apierr.FieldError {
	b := &in.Body
	return anything(b.Name != nil || b.Tags != nil || b.AutoTerminateAt.Given || b.TerminationProtection != nil)
}

// anything is a fault where a PATCH changes nothing.
func anything(given bool) []apierr.FieldError {
	if given {
		return nil
	}
	return []apierr.FieldError{{Field: "body", Message: "names nothing to change."}}
}

type deleteDeployment struct {
	deploymentPath
	When string `query:"when" enum:"now,earliest" doc:"earliest: before the minimum runtime, plan the end for then and answer 202. now if left out."`
}

type reinstallDeployment struct {
	deploymentPath
	Body struct {
		OperatingSystem *string `json:"operatingSystem,omitempty" minLength:"1" maxLength:"100" example:"Ubuntu 22.04" doc:"Another one of the offer's; the present one if left out."`
		EraseLocalDisks bool    `json:"eraseLocalDisks,omitempty" example:"true" doc:"Must be true: says that everything on the machine's own disks may be erased. Volumes are kept."`
	}
}

func (in *reinstallDeployment) check() []apierr.FieldError {
	if in.Body.EraseLocalDisks {
		return nil
	}
	return []apierr.FieldError{{Field: "eraseLocalDisks", Message: "must be true: a reinstall erases everything on the machine's own disks. Volumes are kept."}}
}

// Long polls end before the proxies between give up on them: 30 and 60 seconds are what those have unless they are told otherwise.
const (
	defaultWait = 25 * time.Second
	longestWait = 50 * time.Second
)

// waitOf is how long a long poll waits that was asked to wait for so many seconds.
func waitOf(seconds int) time.Duration {
	return min(time.Duration(seconds)*time.Second, longestWait)
}

func (s *server) addDeployments() {
	at := Base + "/deployments"
	write(s, spec{
		method: http.MethodPost, path: at, id: "createDeployment", tag: tagDeployments, scope: account.WriteDeployments, deploy: true,
		status: http.StatusCreated, also: []int{http.StatusOK}, summary: "Deploy",
		text: "Sets the first hour's price aside and answers at once; the machine comes in the background. Watch `status` and `steps`, or wait with GET …?waitFor=running. " +
			"The money becomes a charge when SSH answers, and comes back if it never does. Needs $50.00 available, and at least the first hour's price.",
		errors: []apierr.Code{apierr.InsufficientBalance, apierr.KeyLimitReached, apierr.NotFound, apierr.OfferUnavailable, apierr.Conflict, apierr.Unsupported},
	}, func(ctx context.Context, tx *db.Tx, c *call, in *createDeployment) (deployment.Deployment, error) {
		r := in.request()
		r.Key = c.keyID()
		d, err := s.c.Deployments.Create(ctx, tx, c.account, r)
		if in.Body.DryRun {
			c.note.nothing = true
			c.status = http.StatusOK
		} else {
			c.created(d.ID)
		}
		return d, err
	})

	list(s, spec{
		method: http.MethodGet, path: at, id: "listDeployments", tag: tagDeployments, scope: account.ReadDeployments,
		summary: "List deployments", text: "Your own, newest first, also those that have ended.",
	}, func(ctx context.Context, c *call, in *deploymentsQuery, p db.Page) ([]deployment.Deployment, db.Listed, error) {
		return s.c.Deployments.List(ctx, s.c.DB, c.account, deployment.Filter{
			Statuses: in.Status, Provider: in.Provider, Region: in.Region, Tag: in.Tag, Search: in.Search,
			Order: in.order(),
		}, p)
	})

	read(s, spec{
		method: http.MethodGet, path: at + "/{id}", id: "getDeployment", tag: tagDeployments, scope: account.ReadDeployments, long: longestWait,
		summary: "Get a deployment", text: "With waitFor it is a long poll, and counts as one read.",
	}, func(ctx context.Context, c *call, in *getDeployment) (deployment.Deployment, error) {
		if in.WaitFor == "" {
			return s.c.Deployments.Get(ctx, s.c.DB, c.account, in.ID)
		}
		wait := defaultWait
		if in.TimeoutSeconds != nil {
			wait = waitOf(*in.TimeoutSeconds)
		}
		return s.c.Deployments.Wait(ctx, c.account, in.ID, deployment.Status(in.WaitFor), wait)
	})

	write(s, spec{
		method: http.MethodPatch, path: at + "/{id}", id: "updateDeployment", tag: tagDeployments, scope: account.WriteDeployments,
		summary: "Change a deployment", errors: []apierr.Code{apierr.Conflict, apierr.KeyLimitReached},
	}, func(ctx context.Context, tx *db.Tx, c *call, in *updateDeployment) (deployment.Deployment, error) {
		b := &in.Body
		return s.c.Deployments.Update(ctx, tx, c.account, in.ID, deployment.UpdateRequest{
			Key: c.keyID(), Name: b.Name, Tags: b.Tags, TerminationProtection: b.TerminationProtection,
			AutoTerminateAt: b.AutoTerminateAt.Value, ClearAutoTerminateAt: b.AutoTerminateAt.Given && b.AutoTerminateAt.Value == nil,
		})
	})

	write(s, spec{
		method: http.MethodDelete, path: at + "/{id}", id: "terminateDeployment", tag: tagDeployments, scope: account.WriteDeployments,
		also: []int{http.StatusAccepted}, summary: "Terminate a deployment",
		text: "The bill ends with the answer, the machine in the background. Within the first hour its unused seconds are refunded. " +
			"What has ended already succeeds again and changes nothing. Before the minimum runtime it is refused, or queued with `?when=earliest` (202).",
		errors: []apierr.Code{apierr.MinimumRuntimeNotMet, apierr.Conflict},
	}, func(ctx context.Context, tx *db.Tx, c *call, in *deleteDeployment) (deployment.Deployment, error) {
		d, queued, err := s.c.Deployments.Terminate(ctx, tx, c.account, in.ID, in.When == "earliest")
		if queued {
			c.status = http.StatusAccepted
		}
		return d, err
	})

	read(s, spec{
		method: http.MethodGet, path: at + "/{id}/can-terminate", id: "canTerminateDeployment", tag: tagDeployments, scope: account.ReadDeployments,
		summary: "Whether a deployment can be terminated now, and what would be refunded",
	}, func(ctx context.Context, c *call, in *deploymentPath) (deployment.CanTerminate, error) {
		return s.c.Deployments.CanTerminate(ctx, s.c.DB, c.account, in.ID)
	})

	type eventsQuery struct {
		deploymentPath
		page
	}
	list(s, spec{
		method: http.MethodGet, path: at + "/{id}/events", id: "listDeploymentEvents", tag: tagDeployments, scope: account.ReadDeployments,
		summary: "What happened to a deployment", text: "Every change of status and every charge, with time and cause, oldest first.",
	}, func(ctx context.Context, c *call, in *eventsQuery, p db.Page) ([]event.Event, db.Listed, error) {
		if _, err := s.c.Deployments.Get(ctx, s.c.DB, c.account, in.ID); err != nil {
			return nil, db.Listed{}, err
		}
		return s.c.Events.List(ctx, s.c.DB, c.account, in.ID, p)
	})

	action := func(name, id, summary string, do func(ctx context.Context, tx *db.Tx, account, deployment id.ID) (deployment.Deployment, error)) {
		write(s, s.actionSpec(name, id, summary), func(ctx context.Context, tx *db.Tx, c *call, in *deploymentPath) (deployment.Deployment, error) {
			return do(ctx, tx, c.account, in.ID)
		})
	}
	// Method values of a nil service are never called: the document alone needs none.
	action("reboot", "rebootDeployment", "Reboot", func(ctx context.Context, tx *db.Tx, account, d id.ID) (deployment.Deployment, error) {
		return s.c.Deployments.Reboot(ctx, tx, account, d)
	})
	action("power-on", "powerOnDeployment", "Switch on", func(ctx context.Context, tx *db.Tx, account, d id.ID) (deployment.Deployment, error) {
		return s.c.Deployments.PowerOn(ctx, tx, account, d)
	})
	action("power-off", "powerOffDeployment", "Switch off; the machine is kept, and paid for", func(ctx context.Context, tx *db.Tx, account, d id.ID) (deployment.Deployment, error) {
		return s.c.Deployments.PowerOff(ctx, tx, account, d)
	})
	write(s, s.actionSpec("reinstall", "reinstallDeployment", "Wipe the machine and install it anew, with its keys"),
		func(ctx context.Context, tx *db.Tx, c *call, in *reinstallDeployment) (deployment.Deployment, error) {
			return s.c.Deployments.Reinstall(ctx, tx, c.account, in.ID, in.Body.OperatingSystem)
		})
}

// actionSpec is what the actions on a machine have in common.
func (s *server) actionSpec(name, id, summary string) spec {
	return spec{
		method: http.MethodPost, path: Base + "/deployments/{id}/" + name, id: id, tag: tagDeployments, scope: account.WriteDeployments,
		status: http.StatusAccepted, summary: summary, text: "Answers 202 at once; `pendingAction` is null again when it is done.",
		errors: []apierr.Code{apierr.Unsupported, apierr.Conflict},
	}
}
