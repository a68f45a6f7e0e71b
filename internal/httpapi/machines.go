package httpapi

import (
	"context"
	"net/http"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/rack"
	"github.com/billetcloud/billet/internal/rackagent"
	"github.com/billetcloud/billet/internal/rest"
)

// machines are the operator's own servers.
type machines struct {
	db          *db.DB
	svc         *rack.Service
	deployments *deployment.Service
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
	destroy := op(http.MethodPost, one+"/destroy-drive", "destroyMachineDrive", "Declare a drive destroyed",
		"The next erasure does not need the drive, and its record, which the tenant can read, has it as destroyed, "+
			"with the reason. A `replacement` is erased with the others. Only while the machine is quarantined or "+
			"retired, and may have a tenant's data.", write)
	destroy.Errors = []apierr.Code{apierr.Conflict}
	rest.Write(r, destroy, h.destroyDrive)
	rest.List(r, op(http.MethodGet, one+"/history", "listMachineHistory", "List a machine's changes of state",
		"The last 100, newest first.", read), h.history)
	rest.List(r, op(http.MethodGet, one+"/erasures", "listMachineErasures", "List a machine's erasures",
		"How its drives were erased after each deployment, newest first. Kept for three years.", read), h.erasures)
	const images, image = OperatorBase + "/machine-images", OperatorBase + "/machine-images/{name}"
	rest.List(r, op(http.MethodGet, images, "listMachineImages", "List machine images",
		"The operating systems that the operator's own servers can be installed with, by name.", read), h.images)
	setImage := op(http.MethodPost, images, "setMachineImage", "Set a machine image",
		"Adds an image, or replaces the one of that name. Machines download it and compare its SHA-256 before it "+
			"starts.",
		write)
	setImage.Errors = []apierr.Code{apierr.LimitReached}
	rest.Write(r, setImage, h.setImage)
	rest.Write(r, op(http.MethodDelete, image, "deleteMachineImage", "Delete a machine image",
		"What was installed from it stays.", write), h.removeImage)
	rest.Read(r, rest.Operation{
		Method: http.MethodGet, Path: Base + "/deployments/{id}/erasure", ID: "getDeploymentErasure",
		Tag: tagDeployments, Scope: string(account.ReadDeployments), Summary: "Get a deployment's erasure",
		Description: "How the drives of its machine were erased after it ended, each by its serial number. It is " +
			"recorded for the operator's own machines, and kept for three years.",
	}, h.erasure)
	for _, action := range []struct {
		path, id, summary, description string
		do                             machineDo
	}{
		{
			"/inspect", "inspectMachine", "Inspect a machine",
			"Its hardware is read through the BMC and by the agent, and compared with what is for sale. Then it is " +
				"ready, " +
				"or quarantined with the reason. It takes minutes. After the first inspection that finds what was " +
				"entered, **everything on its drives is erased**.", h.svc.Inspect,
		},
		{
			"/validate", "validateMachine", "Validate a machine",
			"A machine that is ready is compared with what is for sale again, without starting it.", h.svc.Validate,
		},
		{
			"/release", "releaseMachine", "Release a machine",
			"Takes a machine back that is quarantined, retired or draining. One that may have a tenant's data is " +
				"erased " +
				"first. Every other one is inspected.", h.svc.Release,
		},
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

type destroyMachineDrive struct {
	machinePath
	Body struct {
		Serial      string `json:"serial" minLength:"1" maxLength:"200" example:"S6CKNT0W" doc:"Serial number of the drive."`
		Replacement string `json:"replacement,omitempty" maxLength:"200" doc:"Serial number of the drive that is in its place; empty for none."`
		Reason      string `json:"reason" minLength:"1" maxLength:"500" example:"failed, and was shredded" doc:"Reason, which the record of the erasure shows."`
	}
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

func (h machines) destroyDrive(
	ctx context.Context, tx *db.Tx, _ *rest.Call, in *destroyMachineDrive,
) (rack.Machine, error) {
	return h.svc.DestroyDrive(ctx, tx, in.ID, in.Body.Serial, in.Body.Replacement, in.Body.Reason)
}

func (h machines) history(
	ctx context.Context, _ *rest.Call, in *machineHistoryQuery, p db.Page,
) ([]rack.Transition, db.Listed, error) {
	return h.svc.History(ctx, h.db, in.ID, p)
}

func (h machines) erasures(
	ctx context.Context, _ *rest.Call, in *machineHistoryQuery, p db.Page,
) ([]rack.Erasure, db.Listed, error) {
	return h.svc.Erasures(ctx, h.db, in.ID, p)
}

type machineErasurePath struct {
	ID id.ID `path:"id" doc:"Id of the deployment, dep_…"`
}

func (h machines) erasure(ctx context.Context, c *rest.Call, in *machineErasurePath) (rack.Erasure, error) {
	if _, err := h.deployments.Get(ctx, h.db, c.Caller.Account, in.ID); err != nil {
		return rack.Erasure{}, err
	}
	return h.svc.ErasureOf(ctx, h.db, in.ID)
}

type setMachineImage struct {
	Body struct {
		Name   string           `json:"name" minLength:"1" maxLength:"64" example:"Ubuntu 24.04" doc:"Name of the operating system, as offers list it."`
		URL    string           `json:"url" maxLength:"1000" example:"https://images.example.com/ubuntu.qcow2" doc:"Where machines download the disk image, which needs cloud-init and UEFI."`
		SHA256 string           `json:"sha256" maxLength:"64" doc:"SHA-256 of the file in hex."`
		Format rackagent.Format `json:"format" enum:"raw,qcow2" doc:"raw or qcow2."`
		Bytes  int64            `json:"bytes" minimum:"1" doc:"Size of the file in bytes."`
	}
}

type machineImagePath struct {
	Name string `path:"name" maxLength:"64" doc:"Name of the image."`
}

func (h machines) images(
	ctx context.Context, _ *rest.Call, _ *rest.Paging, p db.Page,
) ([]rack.Image, db.Listed, error) {
	all, err := h.svc.Images(ctx, h.db)
	if err != nil {
		return nil, db.Listed{}, err
	}
	return rest.Slice(all, func(i rack.Image) string { return i.Name }, p)
}

func (h machines) setImage(ctx context.Context, tx *db.Tx, _ *rest.Call, in *setMachineImage) (rack.Image, error) {
	b := in.Body
	i := rack.Image{Name: b.Name, URL: b.URL, SHA256: b.SHA256, Format: b.Format, Bytes: b.Bytes}
	return h.svc.SetImage(ctx, tx, i)
}

func (h machines) removeImage(ctx context.Context, tx *db.Tx, _ *rest.Call, in *machineImagePath) (rack.Image, error) {
	return h.svc.RemoveImage(ctx, tx, in.Name)
}
