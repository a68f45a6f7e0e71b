package deployment

import (
	"context"
	"slices"
	"strings"

	accounts "github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/volume"
)

// Action is something that a provider can be asked to do with a machine.
type Action string

// The actions.
const (
	ActionReboot    Action = "reboot"
	ActionPowerOn   Action = "power-on"
	ActionPowerOff  Action = "power-off"
	ActionReinstall Action = "reinstall"
	ActionRescue    Action = "rescue"
	ActionEndRescue Action = "end-rescue"
)

// Enum lists every action.
func (Action) Enum() []Action {
	return []Action{ActionReboot, ActionPowerOn, ActionPowerOff, ActionReinstall, ActionRescue, ActionEndRescue}
}

// actions are the status that each action needs, and the capability.
var actions = map[Action]struct {
	from       Status
	capability func(provider.Capabilities) bool
}{
	ActionReboot:    {StatusRunning, func(c provider.Capabilities) bool { return c.Reboot }},
	ActionPowerOn:   {StatusStopped, func(c provider.Capabilities) bool { return c.Power }},
	ActionPowerOff:  {StatusRunning, func(c provider.Capabilities) bool { return c.Power }},
	ActionReinstall: {StatusRunning, func(c provider.Capabilities) bool { return c.Reinstall }},
	ActionRescue:    {StatusRunning, func(c provider.Capabilities) bool { return c.Rescue }},
	ActionEndRescue: {StatusRunning, func(c provider.Capabilities) bool { return c.Rescue }},
}

// Reboot reboots the machine in the background. It returns NOT_FOUND, UNSUPPORTED_BY_PROVIDER, or
// CONFLICT if the deployment is not running or another action is pending. Repeating a pending
// action succeeds.
func (s *Service) Reboot(ctx context.Context, tx *db.Tx, account, deployment id.ID) (Deployment, error) {
	return s.act(ctx, tx, account, deployment, ActionReboot)
}

// Rescue starts the machine with its rescue system in the background. It is billed. Errors as for
// Reboot.
func (s *Service) Rescue(ctx context.Context, tx *db.Tx, account, deployment id.ID) (Deployment, error) {
	return s.act(ctx, tx, account, deployment, ActionRescue)
}

// EndRescue starts the machine from its drive in the background. Errors as for Reboot.
func (s *Service) EndRescue(ctx context.Context, tx *db.Tx, account, deployment id.ID) (Deployment, error) {
	return s.act(ctx, tx, account, deployment, ActionEndRescue)
}

// PowerOff switches the machine off in the background. It is kept, and billed. Errors as for
// Reboot.
func (s *Service) PowerOff(ctx context.Context, tx *db.Tx, account, deployment id.ID) (Deployment, error) {
	return s.act(ctx, tx, account, deployment, ActionPowerOff)
}

// PowerOn switches a stopped machine on in the background. Errors as for Reboot, and
// ACCOUNT_SUSPENDED.
func (s *Service) PowerOn(ctx context.Context, tx *db.Tx, account, deployment id.ID) (Deployment, error) {
	if err := accounts.Enter(ctx, tx, account); err != nil {
		return Deployment{}, err
	}
	return s.act(ctx, tx, account, deployment, ActionPowerOn)
}

// ReinstallRequest says what a machine is to be reinstalled with.
type ReinstallRequest struct {
	// EraseLocalDisks must be true, whatever the provider is.
	EraseLocalDisks bool
	// OperatingSystem is one of the offer's, and Image one of the account's own. Without both, what
	// is installed is installed again.
	OperatingSystem *string
	Image           id.ID
}

// Reinstall erases the machine and installs it again in the background, with its keys, and with
// another operating system of the offer or another image if one is given. Errors as for Reboot, and
// INVALID_REQUEST.
func (s *Service) Reinstall(
	ctx context.Context, tx *db.Tx, account, deployment id.ID, req ReinstallRequest,
) (Deployment, error) {
	r, err := s.get(ctx, tx, account, deployment)
	if err != nil {
		return Deployment{}, err
	}
	f := &fieldErrors{}
	if !req.EraseLocalDisks {
		f.add("eraseLocalDisks",
			"must be true: a reinstall erases everything on the machine's own disks. Volumes are kept.")
	}
	choice, err := s.reinstallWith(ctx, tx, &r, req, f)
	if err != nil {
		return Deployment{}, err
	}
	if err := f.err(); err != nil {
		return Deployment{}, err
	}
	return s.actOn(ctx, tx, &r, ActionReinstall, choice)
}

// argument is what an action is done with.
type argument struct {
	operatingSystem string
	image           *provider.Image
}

// same reports whether the pending action has the argument.
func (a argument) same(r *row) bool {
	return r.actionArgument == a.operatingSystem && (a.image == nil) == (r.actionImage == nil) &&
		(a.image == nil || *a.image == *r.actionImage)
}

// reinstallWith returns what to reinstall: the operating system as the offer spells it, or an
// image.
func (s *Service) reinstallWith(
	ctx context.Context, tx *db.Tx, r *row, req ReinstallRequest, f *fieldErrors,
) (argument, error) {
	if req.Image != "" {
		image, err := s.checkImage(ctx, tx, r.account, req.Image, f)
		if req.OperatingSystem != nil {
			f.add("operatingSystem", "cannot be combined with imageId. Remove one of the two.")
		}
		if !r.capabilities.CustomImages {
			f.add("imageId", "%s cannot install images of your own on machines of this offer. See the offer's "+
				"capabilities.", r.provider)
		}
		if image == nil {
			return argument{}, err
		}
		if o, found := s.cfg.Catalog.For(r.account).Get(r.offerID); found {
			checkImageFits(f, image, o)
		}
		return argument{image.Name, image}, nil
	}
	if req.OperatingSystem == nil {
		return argument{r.operatingSystem, r.image}, nil
	}
	var has []string
	if o, found := s.cfg.Catalog.For(r.account).Get(r.offerID); found {
		has = o.OperatingSystems
	} else if r.image == nil {
		has = []string{r.operatingSystem}
	}
	if r.image == nil && strings.EqualFold(*req.OperatingSystem, r.operatingSystem) {
		return argument{operatingSystem: r.operatingSystem}, nil // also if the offer no longer has it
	}
	i := slices.IndexFunc(has, func(h string) bool { return strings.EqualFold(h, *req.OperatingSystem) })
	switch {
	case len(has) == 0:
		f.add("operatingSystem", "cannot be given, because the offer is no longer sold. Remove it, or give an imageId.")
	case i < 0:
		f.add("operatingSystem", "must be one of %s, not %q.", strings.Join(has, ", "), *req.OperatingSystem)
	default:
		return argument{operatingSystem: has[i]}, nil
	}
	return argument{}, nil
}

func (s *Service) act(ctx context.Context, tx *db.Tx, account, deployment id.ID, a Action) (Deployment, error) {
	r, err := s.get(ctx, tx, account, deployment)
	if err != nil {
		return Deployment{}, err
	}
	return s.actOn(ctx, tx, &r, a, argument{})
}

// actOn records the action that the provider is to be asked for. Reconcile asks.
func (s *Service) actOn(ctx context.Context, tx *db.Tx, r *row, a Action, with argument) (Deployment, error) {
	switch needs := actions[a]; {
	case !needs.capability(r.capabilities):
		return Deployment{}, apierr.New(
			apierr.Unsupported,
			"%s cannot %s machines of this offer. See the offer's capabilities.",
			r.provider,
			strings.ReplaceAll(string(a), "-", " "),
		)
	case r.action == a && with.same(r):
		return s.completed(ctx, tx, r)
	case r.action != "":
		return Deployment{}, apierr.New(
			apierr.Conflict,
			"A %s is in progress. Wait until pendingAction is null.",
			r.action,
		)
	case r.status != needs.from:
		return Deployment{}, apierr.New(apierr.Conflict,
			"The deployment is %s, but %s needs a %s one.", r.status, a, needs.from)
	}
	r.action, r.actionArgument, r.actionImage = a, with.operatingSystem, with.image
	if err := setAction(ctx, tx, r); err != nil {
		return Deployment{}, err
	}
	if err := s.appendEvent(ctx, tx, r, "action_requested", map[string]any{"action": a}); err != nil {
		return Deployment{}, err
	}
	d, err := s.completed(ctx, tx, r)
	if err != nil {
		return Deployment{}, err
	}
	return d, s.cfg.Jobs.Enqueue(ctx, tx, r.account, KindReconcile, r.id, tx.Now)
}

// AttachVolume attaches a volume to the deployment in the background. It returns NOT_FOUND for
// either, UNSUPPORTED_BY_PROVIDER, or CONFLICT if the deployment has ended or the volume is not
// available.
func (s *Service) AttachVolume(
	ctx context.Context, tx *db.Tx, account, volumeID, deployment id.ID,
) (volume.Volume, error) {
	r, err := s.get(ctx, tx, account, deployment)
	switch {
	case err != nil:
		return volume.Volume{}, err
	case !r.capabilities.Volumes:
		return volume.Volume{}, apierr.New(
			apierr.Unsupported,
			"%s cannot attach volumes to machines of this offer.",
			r.provider,
		)
	case r.ended():
		return volume.Volume{}, apierr.New(apierr.Conflict,
			"The deployment is %s. Attach the volume to a deployment that has not ended.", r.status)
	}
	return s.cfg.Volumes.Attach(ctx, tx, account, volumeID, r.volumeTarget())
}

// volumeTarget is the deployment as a volume sees it.
func (r *row) volumeTarget() volume.Target {
	return volume.Target{Deployment: r.id, Provider: r.provider, Region: r.region}
}

// DetachVolume detaches the volume in the background from its deployment. If a deployment is given
// and the volume is attached to another one, it returns CONFLICT.
func (s *Service) DetachVolume(
	ctx context.Context, tx *db.Tx, account, volumeID id.ID, deployment *id.ID,
) (volume.Volume, error) {
	if deployment != nil {
		if _, err := s.get(ctx, tx, account, *deployment); err != nil {
			return volume.Volume{}, err
		}
		v, err := s.cfg.Volumes.Get(ctx, tx, account, volumeID)
		if err != nil {
			return volume.Volume{}, err
		}
		if v.AttachedTo != nil && *v.AttachedTo != *deployment {
			return volume.Volume{}, apierr.New(apierr.Conflict,
				"The volume is attached to %s, not to %s.", *v.AttachedTo, *deployment)
		}
	}
	return s.cfg.Volumes.Detach(ctx, tx, account, volumeID)
}
