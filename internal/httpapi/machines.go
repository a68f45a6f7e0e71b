package httpapi

import (
	"context"
	"net/http"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/rack"
	"github.com/billetcloud/billet/internal/rest"
)

// machines are the operator's own servers.
type machines struct {
	db  *db.DB
	svc *rack.Service
}

func (h machines) routes(r *rest.Router) {
	const all, one = OperatorBase + "/machines", OperatorBase + "/machines/{id}"
	op := func(method, path, id, summary, description string, scope account.Scope) rest.Operation {
		return rest.Operation{
			Method: method, Path: path, ID: id, Tag: tagOperator, Auth: rest.OperatorOnly, Scope: string(scope),
			Summary: summary, Description: description,
		}
	}
	const read, write = account.ReadOperator, account.WriteOperator
	rest.List(r, op(http.MethodGet, all, "listMachines", "List machines",
		"The operator's own servers, those that were added last first.", read), h.list)
	create := op(http.MethodPost, all, "createMachine", "Add a machine",
		"Required are `name`, `bmcUrl`, `bmcUser`, `bmcPassword`, `macs`, `address`, `region`, `gpuType`, "+
			"`gpuCount` and "+
			"`gpuMemoryGb`. Name, BMC, address, MAC addresses and place in a rack are those of one machine "+
			"only.", write)
	create.Status, create.Errors = http.StatusCreated, []apierr.Code{apierr.LimitReached, apierr.Conflict}
	rest.Write(r, create, h.create)
	rest.ReadVersioned(r, op(http.MethodGet, one, "getMachine", "Get a machine", "", read), h.get)
	update := op(http.MethodPatch, one, "updateMachine", "Update a machine",
		"Changes the given fields and keeps the others. BMC, network, region, fabric and hardware change only while "+
			"the "+
			"machine is enrolled, quarantined or retired.", write)
	update.Errors = []apierr.Code{apierr.Conflict}
	rest.Write(r, update, h.update)
	remove := op(http.MethodDelete, one, "deleteMachine", "Remove a machine",
		"Only while it is enrolled, quarantined or retired. A machine that may have a tenant's data is removed only "+
			"with "+
			"`drivesDestroyed`.", write)
	remove.Errors = []apierr.Code{apierr.Conflict}
	rest.Write(r, remove, h.remove)
	rest.List(r, op(http.MethodGet, one+"/history", "listMachineHistory", "List a machine's changes of state",
		"The last 100, newest first.", read), h.history)
	for _, action := range []struct {
		path, id, summary, description string
		do                             machineDo
	}{
		{
			"/drain", "drainMachine", "Drain a machine",
			"It is no longer sold. Without a tenant it is retired at once. A tenant keeps it; it is erased and " +
				"retired " +
				"after that.", h.svc.Drain,
		},
		{
			"/quarantine", "quarantineMachine", "Quarantine a machine",
			"It is not sold until it is released. A machine that a tenant has cannot be quarantined; drain it.",
			h.svc.Quarantine,
		},
	} {
		o := op(http.MethodPost, one+action.path, action.id, action.summary, action.description, write)
		o.Errors = []apierr.Code{apierr.Conflict}
		rest.Write(r, o,
			func(ctx context.Context, tx *db.Tx, _ *rest.Call, in *machineAction) (rack.Machine, error) {
				return action.do(ctx, tx, in.ID, in.Body.Reason)
			})
	}
}

// machineDo is what an action does to a machine, for a reason.
type machineDo = func(ctx context.Context, tx *db.Tx, of id.ID, reason string) (rack.Machine, error)

type machinePath struct {
	ID id.ID `path:"id" doc:"Id of the machine, mac_…"`
}

type machinesQuery struct {
	rest.Paging
	State rack.State `query:"state" doc:"All if omitted."`
}

type machineHistoryQuery struct {
	machinePath
	rest.Paging
}

type createMachine struct{ Body rack.MachineFields }

type updateMachine struct {
	machinePath
	Body rack.MachineFields
}

// Check refuses an update without a field.
func (in *updateMachine) Check() []apierr.FieldError { return someField(!in.Body.Empty()) }

type removeMachine struct {
	machinePath
	DrivesDestroyed bool `query:"drivesDestroyed" doc:"Whether the drives are destroyed, which a machine that may have a tenant's data is removed with only."`
}

type machineAction struct {
	machinePath
	Body struct {
		Reason string `json:"reason,omitempty" maxLength:"500" example:"a fan is loud" doc:"Reason, which the machine's history keeps."`
	}
}

func (h machines) list(
	ctx context.Context, _ *rest.Call, in *machinesQuery, p db.Page,
) ([]rack.Machine, db.Listed, error) {
	return h.svc.List(ctx, h.db, rack.Filter{State: in.State}, p)
}

func (h machines) get(ctx context.Context, r db.Reader, _ *rest.Call, in *machinePath) (rack.Machine, error) {
	return h.svc.Get(ctx, r, in.ID)
}

func (h machines) create(ctx context.Context, tx *db.Tx, c *rest.Call, in *createMachine) (rack.Machine, error) {
	m, err := h.svc.Add(ctx, tx, in.Body)
	if err == nil {
		c.Created(m.ID)
	}
	return m, err
}

func (h machines) update(ctx context.Context, tx *db.Tx, _ *rest.Call, in *updateMachine) (rack.Machine, error) {
	return h.svc.Update(ctx, tx, in.ID, in.Body)
}

func (h machines) remove(ctx context.Context, tx *db.Tx, _ *rest.Call, in *removeMachine) (rack.Machine, error) {
	return h.svc.Remove(ctx, tx, in.ID, in.DrivesDestroyed)
}

func (h machines) history(
	ctx context.Context, _ *rest.Call, in *machineHistoryQuery, p db.Page,
) ([]rack.Transition, db.Listed, error) {
	return h.svc.History(ctx, h.db, in.ID, p)
}
