package deployment

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/catalog"
	"github.com/billetcloud/billet/internal/cloudinit"
	"github.com/billetcloud/billet/internal/creator"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/health"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/quote"
	"github.com/billetcloud/billet/internal/sshkey"
	"github.com/billetcloud/billet/internal/volume"
)

// Limits of a request.
const (
	MaxKeys    = 20
	MaxVolumes = 8
	MaxTags    = 20
	// MaxAhead is how far in the future autoTerminateAt may be.
	MaxAhead = 5 * 365 * 24 * time.Hour
)

// CreateRequest asks for a deployment. OfferID decides; every other hardware field must agree with
// that offer if it is set.
type CreateRequest struct {
	// Key is the API key whose spending limits count; "" for a user.
	Key id.ID
	// By is who asks. Project is the project to put it in, "" for none.
	By      creator.Creator
	Project string
	// Within is the only project whose volumes may be attached; "" for all.
	Within  string
	OfferID id.ID
	// Candidates replace OfferID: the first that is available is tried, and the next if it fails
	// before it runs.
	Candidates []Candidate
	// Quote fixes the price of its offer, which OfferID may name too.
	Quote           id.ID
	Provider        *string
	GPUType         *string
	GPUCount        *int
	Region          *string
	InstanceType    *string
	OperatingSystem *string
	// Image is one of the account's own, instead of OperatingSystem; "" for none.
	Image id.ID
	Name  string
	// One of these three must be set.
	SSHPublicKey *string
	SSHKeyID     *id.ID
	SSHKeyIDs    []id.ID

	VolumeIDs       []id.ID
	CloudInit       *string
	Tags            []string
	AutoTerminateAt *time.Time
	// MaxSpend and MaxRuntimeMinutes end the deployment; nil for no limit.
	MaxSpend          *money.Micros
	MaxRuntimeMinutes *int64
	// MaxHourlyPrice refuses offers that cost more.
	MaxHourlyPrice *money.Micros
	// HealthAccess is how long Billet's key for GPU checks stays; "" for AccessLaunch.
	HealthAccess health.Access
	// DryRun checks everything, including the balance, and creates nothing.
	DryRun bool
}

// checked is a valid request.
type checked struct {
	offers          []acceptedOffer
	keys            []authorizedKey
	volumes         []volume.Volume
	image           *provider.Image
	cloudInit       string
	tags            []string
	autoTerminateAt *time.Time
}

// acceptedOffer is an offer that a request accepts, at the price that applies to the request.
type acceptedOffer struct {
	offer           catalog.Offer
	operatingSystem string
	price           money.Micros
}

// fieldErrors collects what is wrong with a request: fields that are invalid, and ids of things
// that do not exist or belong to another account, which must be indistinguishable.
type fieldErrors struct {
	invalid []apierr.FieldError
	missing []apierr.FieldError
}

func (f *fieldErrors) add(field, format string, args ...any) {
	f.invalid = append(f.invalid, apierr.FieldError{Field: field, Message: fmt.Sprintf(format, args...)})
}

func (f *fieldErrors) notFound(field, format string, args ...any) {
	f.missing = append(f.missing, apierr.FieldError{Field: field, Message: fmt.Sprintf(format, args...)})
}

// err returns NOT_FOUND if nothing is wrong but ids that do not exist, else INVALID_REQUEST with
// every problem.
func (f *fieldErrors) err() error {
	if len(f.invalid) == 0 && len(f.missing) > 0 {
		return &apierr.Error{
			Code:    apierr.NotFound,
			Message: f.missing[0].Field + ": " + f.missing[0].Message,
			Details: map[string]any{"fields": f.missing},
		}
	}
	return apierr.Invalid(append(f.invalid, f.missing...)).OrNil()
}

// Check returns everything that is wrong with a request, without creating anything. It returns
// NOT_FOUND if nothing is wrong but ids that do not exist.
func (s *Service) Check(ctx context.Context, r db.Reader, account id.ID, req CreateRequest) error {
	_, err := s.check(ctx, r, account, req, s.cfg.Clock.Now())
	return err
}

func (s *Service) check(
	ctx context.Context, r db.Reader, account id.ID, req CreateRequest, now time.Time,
) (c checked, err error) {
	f := &fieldErrors{}
	if c.image, err = s.checkImage(ctx, r, account, req.Image, f); err != nil {
		return c, err
	}
	if c.offers, err = s.checkOffers(ctx, r, account, req, now, f); err != nil {
		return c, err
	}
	f.invalid = append(f.invalid, apierr.CheckName("name", req.Name)...)
	if c.keys, err = s.checkKeys(ctx, r, account, req, f); err != nil {
		return c, err
	}
	checkImageOffers(f, req, &c)
	for _, o := range c.offers {
		if o.offer.Capabilities.SingleKey && len(c.keys) > 1 {
			f.add("sshKeyIds", "must name one SSH key only: offer %s of %s takes exactly one (capabilities.singleKey).",
				o.offer.ID, o.offer.Provider)
		}
	}
	if c.volumes, err = s.checkVolumes(ctx, r, account, req, c.offers, f); err != nil {
		return c, err
	}
	if req.CloudInit != nil && *req.CloudInit != "" {
		c.cloudInit = cloudinit.Trim(*req.CloudInit)
		s.checkCloudInit(f, *req.CloudInit, c.offers)
	}
	c.tags = checkTags(f, req.Tags)
	if req.Project != "" {
		f.invalid = append(f.invalid, apierr.CheckName("project", req.Project)...)
	}
	if req.AutoTerminateAt != nil {
		minimum := catalog.MinimumRuntime
		for _, o := range c.offers {
			minimum = max(minimum, time.Duration(o.offer.MinimumRuntimeMinutes)*time.Minute)
		}
		c.autoTerminateAt = checkAutoTerminate(f, *req.AutoTerminateAt, now, now.Add(minimum))
	}
	checkLimits(f, req.MaxSpend, req.MaxRuntimeMinutes, leastOf(c.offers))
	if req.MaxHourlyPrice != nil && *req.MaxHourlyPrice <= 0 {
		f.add("maxHourlyPrice", "must be more than 0 US dollars.")
	}
	return c, f.err()
}

// checkCloudInit checks the text against cloud-init's schema, and then against what the provider of
// each offer carries out, so that no accepted text fails later for its form.
func (s *Service) checkCloudInit(f *fieldErrors, text string, offers []acceptedOffer) {
	problems := cloudinit.Check(text)
	for _, p := range problems {
		f.add("cloudInit", "%s", p)
	}
	seen := map[string]bool{}
	for _, o := range offers {
		slug := o.offer.Provider
		if !o.offer.Capabilities.CloudInit {
			f.add(
				"cloudInit",
				"offer %s of %s cannot run cloud-init. Remove it or choose an offer with capabilities.cloudInit.",
				o.offer.ID,
				slug,
			)
			continue
		}
		p, configured := s.cfg.Providers.Get(slug)
		if checker, checks := p.(provider.CloudInitChecker); configured && checks && len(problems) == 0 && !seen[slug] {
			seen[slug] = true
			for _, problem := range checker.CheckCloudInit(text) {
				f.add("cloudInit", "%s", problem)
			}
		}
	}
}

// checkOffers returns the offers that the request accepts, with the prices that apply to it.
func (s *Service) checkOffers(
	ctx context.Context, r db.Reader, account id.ID, req CreateRequest, now time.Time, f *fieldErrors,
) ([]acceptedOffer, error) {
	quoted, err := s.checkQuote(ctx, r, account, req, now, f)
	if err != nil || req.Quote != "" && quoted == nil {
		return nil, err
	}
	named, market := req.Candidates, s.cfg.Catalog.For(account)
	switch {
	case len(named) == 0 && quoted != nil:
		named = []Candidate{{OfferID: quoted.OfferID}}
	case len(named) == 0:
		named = []Candidate{{OfferID: req.OfferID}}
	case req.OfferID != "" && quoted == nil:
		f.add(
			"offerId",
			"cannot be combined with candidates. List every offer in candidates, in the order to try them.",
		)
	case len(named) > MaxCandidates:
		f.add("candidates", "must name at most %d offers, not %d.", MaxCandidates, len(named))
		return nil, nil
	}
	var accepted []acceptedOffer
	for i, n := range named {
		field, mine := "offerId", req
		if len(req.Candidates) > 0 {
			field = fmt.Sprintf("candidates[%d].offerId", i)
			mine.OperatingSystem = cmp.Or(n.OperatingSystem, req.OperatingSystem)
		}
		offer, found := market.Get(n.OfferID)
		switch {
		case n.OfferID == "":
			f.add(field, "is required. Choose an offer from GET /offers.")
		case !found:
			f.notFound(field, "no offer has this id now. Choose an offer from GET /offers.")
		case slices.ContainsFunc(accepted, func(o acceptedOffer) bool { return o.offer.ID == offer.ID }):
			f.add(field, "names %s twice. Name each offer once.", offer.ID)
		default:
			price := offer.HourlyPrice
			if quoted != nil {
				price = quoted.HourlyPrice
			}
			accepted = append(accepted, acceptedOffer{offer, checkHardware(f, mine, offer), price})
		}
	}
	return accepted, nil
}

// checkQuote returns the request's quote; nil if it has none or the quote does not exist.
func (s *Service) checkQuote(
	ctx context.Context, r db.Reader, account id.ID, req CreateRequest, now time.Time, f *fieldErrors,
) (*quote.Quote, error) {
	if req.Quote == "" {
		return nil, nil
	}
	q, err := s.cfg.Quotes.Get(ctx, r, account, req.Quote)
	if _, is := errors.AsType[*apierr.Error](err); is {
		f.notFound("quoteId", "no quote has this id. Create one with POST /quotes.")
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	switch {
	case len(req.Candidates) > 0:
		f.add("candidates", "cannot be combined with quoteId, which is for one offer.")
	case req.OfferID != "" && req.OfferID != q.OfferID:
		f.add("offerId", "is %s, but the quote is for %s. Remove one of the two.", req.OfferID, q.OfferID)
	case !now.Before(q.ExpiresAt):
		f.add("quoteId", "expired at %s. Create a new quote with POST /quotes.", q.ExpiresAt.Format(time.RFC3339))
	case q.UsedBy != nil:
		f.add("quoteId", "was used by %s. A quote is good for one deployment.", *q.UsedBy)
	}
	return &q, nil
}

// checkHardware checks the hardware fields against the offer, and returns the operating system as
// the offer spells it.
func checkHardware(f *fieldErrors, req CreateRequest, o catalog.Offer) string {
	same := func(field string, given *string, has string) {
		if given != nil && !strings.EqualFold(*given, has) {
			f.add(field, "is %q, but offer %s has %q. Remove it or choose another offer.", *given, o.ID, has)
		}
	}
	same("provider", req.Provider, o.Provider)
	same("gpuType", req.GPUType, o.GPUType)
	same("region", req.Region, o.Region)
	same("instanceType", req.InstanceType, string(o.InstanceType))
	if req.GPUCount != nil && *req.GPUCount != o.GPUCount {
		f.add(
			"gpuCount",
			"is %d, but offer %s has %d. Remove it or choose another offer.",
			*req.GPUCount,
			o.ID,
			o.GPUCount,
		)
	}
	if req.Image != "" {
		return "" // the image's name
	}
	list := strings.Join(o.OperatingSystems, ", ")
	if req.OperatingSystem == nil {
		if len(o.OperatingSystems) == 1 {
			return o.OperatingSystems[0]
		}
		f.add("operatingSystem", "is required, because offer %s has several. Choose one of: %s.", o.ID, list)
		return ""
	}
	i := slices.IndexFunc(
		o.OperatingSystems,
		func(has string) bool { return strings.EqualFold(has, *req.OperatingSystem) },
	)
	if i < 0 {
		f.add(
			"operatingSystem",
			"is %q, which offer %s does not have. Choose one of: %s.",
			*req.OperatingSystem,
			o.ID,
			list,
		)
		return ""
	}
	return o.OperatingSystems[i]
}

// checkKeys returns the public keys that may log in.
func (s *Service) checkKeys(
	ctx context.Context, r db.Reader, account id.ID, req CreateRequest, f *fieldErrors,
) ([]authorizedKey, error) {
	given := 0
	for _, is := range []bool{req.SSHPublicKey != nil, req.SSHKeyID != nil, len(req.SSHKeyIDs) > 0} {
		if is {
			given++
		}
	}
	if given != 1 {
		f.add(
			"ssh_public_key",
			"exactly one of ssh_public_key, sshKeyId and sshKeyIds is required: it decides who can log in.",
		)
		return nil, nil
	}
	if req.SSHPublicKey != nil {
		return s.checkPublicKey(ctx, r, account, *req.SSHPublicKey, f)
	}
	field, ids := "sshKeyIds", req.SSHKeyIDs
	if req.SSHKeyID != nil {
		field, ids = "sshKeyId", []id.ID{*req.SSHKeyID}
	}
	if !checkIDs(f, field, ids, MaxKeys, "keys") {
		return nil, nil
	}
	found, missing, err := s.cfg.SSHKeys.Find(ctx, r, account, ids)
	if err != nil {
		return nil, err
	}
	for _, m := range missing {
		f.notFound(field, "no SSH key has the id %s. List yours with GET /ssh-keys.", m)
	}
	out := make([]authorizedKey, len(found))
	for i, k := range found {
		out[i] = authorizedKey{KeyRef: KeyRef{ID: &k.ID, Name: k.Name, Fingerprint: k.Fingerprint}, Line: k.PublicKey}
	}
	return out, nil
}

// checkPublicKey returns a key of the request, under its name if it is a saved one.
func (s *Service) checkPublicKey(
	ctx context.Context, r db.Reader, account id.ID, text string, f *fieldErrors,
) ([]authorizedKey, error) {
	key, err := sshkey.Parse(text)
	if err != nil {
		f.add("ssh_public_key", "%s", err)
		return nil, nil
	}
	k := authorizedKey{KeyRef: KeyRef{Name: key.Comment, Fingerprint: key.Fingerprint}, Line: key.Line}
	saved, err := s.cfg.SSHKeys.ByFingerprint(ctx, r, account, []string{key.Fingerprint})
	if has, ok := saved[key.Fingerprint]; ok {
		k.ID, k.Name = &has.ID, has.Name
	}
	return []authorizedKey{k}, err
}

// checkVolumes returns the volumes to attach.
func (s *Service) checkVolumes(
	ctx context.Context, r db.Reader, account id.ID, req CreateRequest, offers []acceptedOffer, f *fieldErrors,
) ([]volume.Volume, error) {
	ids := req.VolumeIDs
	if len(ids) == 0 || !checkIDs(f, "volumeIds", ids, MaxVolumes, "volumes") {
		return nil, nil
	}
	for _, o := range offers {
		if !o.offer.Capabilities.Volumes {
			f.add(
				"volumeIds",
				"offer %s of %s cannot attach volumes. Remove them or choose an offer with capabilities.volumes.",
				o.offer.ID,
				o.offer.Provider,
			)
			return nil, nil
		}
	}
	found, missing, err := s.cfg.Volumes.Find(ctx, r, account, req.Within, ids)
	if err != nil {
		return nil, err
	}
	for _, m := range missing {
		f.notFound("volumeIds", "no volume has the id %s. List yours with GET /volumes.", m)
	}
	for _, v := range found {
		if v.Status != volume.StatusAvailable {
			f.add("volumeIds", "volume %s is %s. Only an available volume can be attached.", v.ID, v.Status)
		}
		for _, o := range offers {
			if v.Provider != o.offer.Provider || v.Region != o.offer.Region {
				f.add("volumeIds", "volume %s is at %s in %s, but the offer is at %s in %s. "+
					"A volume can be attached only at its own provider and region.",
					v.ID, v.Provider, v.Region, o.offer.Provider, o.offer.Region)
			}
		}
	}
	return found, nil
}

// checkIDs reports whether a list of ids is neither too long nor names one twice.
func checkIDs(f *fieldErrors, field string, ids []id.ID, most int, what string) bool {
	if len(ids) > most {
		f.add(field, "must name at most %d %s, not %d.", most, what, len(ids))
		return false
	}
	good := true
	for i, x := range ids {
		if slices.Contains(ids[:i], x) {
			f.add(fmt.Sprintf("%s[%d]", field, i), "names %s twice. Name it once.", x)
			good = false
		}
	}
	return good
}

func checkTags(f *fieldErrors, tags []string) []string {
	if len(tags) > MaxTags {
		f.add("tags", "must have at most %d tags, not %d.", MaxTags, len(tags))
		return nil
	}
	out := []string{}
	for i, t := range tags {
		field := fmt.Sprintf("tags[%d]", i)
		f.invalid = append(f.invalid, apierr.CheckName(field, t)...)
		if slices.Contains(tags[:i], t) {
			f.add(field, "repeats the tag %q. Name it once.", t)
		}
		out = append(out, t)
	}
	return out
}

// checkAutoTerminate returns the instant in whole seconds.
func checkAutoTerminate(f *fieldErrors, at, now, earliest time.Time) *time.Time {
	at = at.UTC().Truncate(time.Second)
	switch {
	case at.After(now.Add(MaxAhead)):
		f.add("autoTerminateAt", "must be within the next five years.")
	case at.Before(earliest.Truncate(time.Second)):
		f.add("autoTerminateAt", "must not be before the end of the minimum runtime. Choose %s or later.",
			earliest.UTC().Add(time.Second).Format(time.RFC3339))
	}
	return &at
}
