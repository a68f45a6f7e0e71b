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
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/quote"
	"github.com/billetcloud/billet/internal/sshkey"
	"github.com/billetcloud/billet/internal/volume"
)

// Bounds of a request.
const (
	MaxKeys    = 20
	MaxVolumes = 8
	MaxTags    = 20
	// MaxAhead is how far in the future autoTerminateAt may lie.
	MaxAhead = 5 * 365 * 24 * time.Hour
)

// CreateRequest asks for a deployment. OfferID decides; every other hardware field that is given must agree with that offer.
type CreateRequest struct {
	// Key is the API key that asks, whose allowance counts; "" for a user.
	Key     id.ID
	OfferID id.ID
	// Candidates take the place of OfferID: the first that can be had counts, and the next where it fails before it runs.
	Candidates []Candidate
	// Quote fixes the price of its offer, which OfferID may name too.
	Quote           id.ID
	Provider        *string
	GPUType         *string
	GPUCount        *int
	Region          *string
	InstanceType    *string
	OperatingSystem *string
	Name            string
	// One of these three says who may log in.
	SSHPublicKey *string
	SSHKeyID     *id.ID
	SSHKeyIDs    []id.ID

	VolumeIDs       []id.ID
	CloudInit       *string
	Tags            []string
	AutoTerminateAt *time.Time
	// MaxHourlyPrice refuses the deploy where the offer has become dearer.
	MaxHourlyPrice *money.Micros
	// DryRun checks everything, money included, and makes nothing.
	DryRun bool
}

// checked is a request that was found good.
type checked struct {
	wanted  []wanted
	keys    []authorizedKey
	volumes []volume.Volume
	cloud   string
	tags    []string
	auto    *time.Time
}

// wanted is an offer that would do, at the price that holds for this request.
type wanted struct {
	offer catalog.Offer
	os    string
	price money.Micros
}

// faults collects what is wrong with a request: fields that are wrong in themselves, and
// ids of things that do not exist or belong to somebody else, which are told apart by nobody.
type faults struct {
	fields  []apierr.FieldError
	missing []apierr.FieldError
}

func (f *faults) add(field, format string, args ...any) {
	f.fields = append(f.fields, apierr.FieldError{Field: field, Message: fmt.Sprintf(format, args...)})
}

func (f *faults) notFound(field, format string, args ...any) {
	f.missing = append(f.missing, apierr.FieldError{Field: field, Message: fmt.Sprintf(format, args...)})
}

// err is NOT_FOUND where nothing is wrong but ids that lead nowhere, else INVALID_REQUEST with every fault.
func (f *faults) err() error {
	if len(f.fields) == 0 && len(f.missing) > 0 {
		return &apierr.Error{Code: apierr.NotFound, Message: f.missing[0].Field + ": " + f.missing[0].Message, Details: map[string]any{"fields": f.missing}}
	}
	return apierr.Invalid(append(f.fields, f.missing...)).OrNil()
}

// Check returns what is wrong with a request, every fault at once, without making anything. It is
// NOT_FOUND where only ids lead nowhere.
func (s *Service) Check(ctx context.Context, r db.Reader, account id.ID, req CreateRequest) error {
	_, err := s.check(ctx, r, account, req, s.c.Clock.Now())
	return err
}

func (s *Service) check(ctx context.Context, r db.Reader, account id.ID, req CreateRequest, now time.Time) (checked, error) {
	f, c := &faults{}, checked{}
	if err := s.checkOffers(ctx, r, account, req, now, f, &c); err != nil {
		return c, err
	}
	f.fields = append(f.fields, apierr.CheckName("name", req.Name)...)
	var err error
	if c.keys, err = s.checkKeys(ctx, r, account, req, f); err != nil {
		return c, err
	}
	for _, w := range c.wanted {
		if w.offer.Capabilities.SingleKey && len(c.keys) > 1 {
			f.add("sshKeyIds", "offer %s of %s takes exactly one SSH key; name one, or choose an offer without capabilities.singleKey.", w.offer.ID, w.offer.Provider)
		}
	}
	if c.volumes, err = s.checkVolumes(ctx, r, account, req.VolumeIDs, c.wanted, f); err != nil {
		return c, err
	}
	if req.CloudInit != nil && *req.CloudInit != "" {
		c.cloud = cloudinit.Trim(*req.CloudInit)
		s.checkCloudInit(f, *req.CloudInit, c.wanted)
	}
	c.tags = checkTags(f, req.Tags)
	if req.AutoTerminateAt != nil {
		minimum := catalog.MinimumRuntime
		for _, w := range c.wanted {
			minimum = max(minimum, time.Duration(w.offer.MinimumRuntimeMinutes)*time.Minute)
		}
		c.auto = checkAutoTerminate(f, *req.AutoTerminateAt, now, now.Add(minimum))
	}
	if req.MaxHourlyPrice != nil && *req.MaxHourlyPrice <= 0 {
		f.add("maxHourlyPrice", "must be more than 0 US dollars.")
	}
	return c, f.err()
}

// checkCloudInit holds the text against cloud-init's schema, and then against what the provider of
// each offer carries out of it, so that nothing that is accepted fails later for its form.
func (s *Service) checkCloudInit(f *faults, text string, wanted []wanted) {
	problems := cloudinit.Check(text)
	for _, p := range problems {
		f.add("cloudInit", "%s", p)
	}
	seen := map[string]bool{}
	for _, w := range wanted {
		if !w.offer.Capabilities.CloudInit {
			f.add("cloudInit", "offer %s of %s cannot run cloud-init; leave it out or choose an offer with capabilities.cloudInit.", w.offer.ID, w.offer.Provider)
			continue
		}
		p, known := s.c.Providers.Get(w.offer.Provider)
		if checker, checks := p.(provider.CloudInitChecker); known && checks && len(problems) == 0 && !seen[w.offer.Provider] {
			seen[w.offer.Provider] = true
			for _, wrong := range checker.CheckCloudInit(text) {
				f.add("cloudInit", "%s", wrong)
			}
		}
	}
}

// checkOffers finds what the request wants, and at what price.
func (s *Service) checkOffers(ctx context.Context, r db.Reader, account id.ID, req CreateRequest, now time.Time, f *faults, c *checked) error {
	var fixed *quote.Quote
	if req.Quote != "" {
		q, err := s.c.Quotes.Get(ctx, r, account, req.Quote)
		if e := (*apierr.Error)(nil); errors.As(err, &e) {
			f.notFound("quoteId", "there is no quote with this id; POST /quotes makes one.")
			return nil
		} else if err != nil {
			return err
		}
		switch {
		case len(req.Candidates) > 0:
			f.add("candidates", "cannot go with a quoteId, which is of one offer.")
		case req.OfferID != "" && req.OfferID != q.OfferID:
			f.add("offerId", "is %s, but the quote is of %s; leave it out.", req.OfferID, q.OfferID)
		case !now.Before(q.ExpiresAt):
			f.add("quoteId", "expired at %s; ask for a new one with POST /quotes.", q.ExpiresAt.Format(time.RFC3339))
		case q.UsedBy != nil:
			f.add("quoteId", "was used by %s; a quote is good for one deployment.", *q.UsedBy)
		}
		req.OfferID, fixed = q.OfferID, &q
	}
	named, market := req.Candidates, s.c.Catalog.For(account)
	switch {
	case len(named) == 0:
		named = []Candidate{{OfferID: req.OfferID}}
	case req.OfferID != "" && fixed == nil:
		f.add("offerId", "and candidates are both given; put every offer into candidates, in the order in which they should be tried.")
	case len(named) > MaxCandidates:
		f.add("candidates", "names %d offers; at most %d are allowed.", len(named), MaxCandidates)
		return nil
	}
	for i, n := range named {
		field, mine := "offerId", req
		if len(req.Candidates) > 0 {
			field = fmt.Sprintf("candidates[%d].offerId", i)
			mine.OperatingSystem = cmp.Or(n.OperatingSystem, req.OperatingSystem)
		}
		offer, found := market.Get(n.OfferID)
		switch {
		case n.OfferID == "":
			f.add(field, "is missing; choose one from GET /offers.")
		case !found:
			f.notFound(field, "there is no offer with this id now; choose one from GET /offers.")
		case slices.ContainsFunc(c.wanted, func(w wanted) bool { return w.offer.ID == offer.ID }):
			f.add(field, "names %s twice; name it once.", offer.ID)
		default:
			price := offer.HourlyPrice
			if fixed != nil {
				price = fixed.HourlyPrice
			}
			c.wanted = append(c.wanted, wanted{offer, agree(f, mine, offer), price})
		}
	}
	return nil
}

// agree checks the hardware fields against the offer, and returns the operating system in the offer's spelling.
func agree(f *faults, req CreateRequest, o catalog.Offer) string {
	same := func(field string, given *string, has string) {
		if given != nil && !strings.EqualFold(*given, has) {
			f.add(field, "is %q, but offer %s has %q; leave it out or choose another offer.", *given, o.ID, has)
		}
	}
	same("provider", req.Provider, o.Provider)
	same("gpuType", req.GPUType, o.GPUType)
	same("region", req.Region, o.Region)
	same("instanceType", req.InstanceType, string(o.InstanceType))
	if req.GPUCount != nil && *req.GPUCount != o.GPUCount {
		f.add("gpuCount", "is %d, but offer %s has %d; leave it out or choose another offer.", *req.GPUCount, o.ID, o.GPUCount)
	}
	list := strings.Join(o.OperatingSystems, ", ")
	if req.OperatingSystem == nil {
		if len(o.OperatingSystems) == 1 {
			return o.OperatingSystems[0]
		}
		f.add("operatingSystem", "is missing, and offer %s has several; choose one of: %s.", o.ID, list)
		return ""
	}
	i := slices.IndexFunc(o.OperatingSystems, func(has string) bool { return strings.EqualFold(has, *req.OperatingSystem) })
	if i < 0 {
		f.add("operatingSystem", "is %q, which offer %s does not have; choose one of: %s.", *req.OperatingSystem, o.ID, list)
		return ""
	}
	return o.OperatingSystems[i]
}

func (s *Service) checkKeys(ctx context.Context, r db.Reader, account id.ID, req CreateRequest, f *faults) ([]authorizedKey, error) {
	given := 0
	for _, is := range []bool{req.SSHPublicKey != nil, req.SSHKeyID != nil, len(req.SSHKeyIDs) > 0} {
		if is {
			given++
		}
	}
	if given != 1 {
		f.add("ssh_public_key", "give exactly one of ssh_public_key, sshKeyId and sshKeyIds: without a key nobody could log in, and two would contradict each other.")
		return nil, nil
	}
	if req.SSHPublicKey != nil {
		key, err := sshkey.Parse(*req.SSHPublicKey)
		if err != nil {
			f.add("ssh_public_key", "%s", err)
			return nil, nil
		}
		k := authorizedKey{KeyRef: KeyRef{Name: key.Comment, Fingerprint: key.Fingerprint}, Line: key.Line}
		registered, err := s.c.SSHKeys.ByFingerprint(ctx, r, account, []string{key.Fingerprint})
		if has, ok := registered[key.Fingerprint]; ok {
			k.ID, k.Name = &has.ID, has.Name
		}
		return []authorizedKey{k}, err
	}
	field, ids := "sshKeyIds", req.SSHKeyIDs
	if req.SSHKeyID != nil {
		field, ids = "sshKeyId", []id.ID{*req.SSHKeyID}
	}
	if !checkIDs(f, field, ids, MaxKeys, "keys") {
		return nil, nil
	}
	found, missing, err := s.c.SSHKeys.Find(ctx, r, account, ids)
	if err != nil {
		return nil, err
	}
	for _, m := range missing {
		f.notFound(field, "there is no SSH key %s; GET /ssh-keys lists yours.", m)
	}
	out := make([]authorizedKey, len(found))
	for i, k := range found {
		out[i] = authorizedKey{KeyRef: KeyRef{ID: &k.ID, Name: k.Name, Fingerprint: k.Fingerprint}, Line: k.PublicKey}
	}
	return out, nil
}

func (s *Service) checkVolumes(ctx context.Context, r db.Reader, account id.ID, ids []id.ID, offers []wanted, f *faults) ([]volume.Volume, error) {
	if len(ids) == 0 || !checkIDs(f, "volumeIds", ids, MaxVolumes, "volumes") {
		return nil, nil
	}
	for _, w := range offers {
		if !w.offer.Capabilities.Volumes {
			f.add("volumeIds", "offer %s of %s cannot attach volumes; leave them out or choose an offer with capabilities.volumes.", w.offer.ID, w.offer.Provider)
			return nil, nil
		}
	}
	found, missing, err := s.c.Volumes.Find(ctx, r, account, ids)
	if err != nil {
		return nil, err
	}
	for _, m := range missing {
		f.notFound("volumeIds", "there is no volume %s; GET /volumes lists yours.", m)
	}
	for _, v := range found {
		if v.Status != volume.StatusAvailable {
			f.add("volumeIds", "volume %s is %s; only an available volume can be attached.", v.ID, v.Status)
		}
		for _, w := range offers {
			if v.Provider != w.offer.Provider || v.Region != w.offer.Region {
				f.add("volumeIds", "volume %s is at %s in %s, but the offer is at %s in %s; a volume can be attached only where it is.", v.ID, v.Provider, v.Region, w.offer.Provider, w.offer.Region)
			}
		}
	}
	return found, nil
}

// checkIDs checks a list of ids: not too many, none twice, none longer than an id can be.
func checkIDs(f *faults, field string, ids []id.ID, most int, what string) bool {
	good := true
	if len(ids) > most {
		f.add(field, "names %d %s; at most %d are allowed.", len(ids), what, most)
		return false
	}
	for i, x := range ids {
		if slices.Contains(ids[:i], x) {
			f.add(fmt.Sprintf("%s[%d]", field, i), "names %s twice; name it once.", x)
			good = false
		}
	}
	return good
}

func checkTags(f *faults, tags []string) []string {
	if len(tags) > MaxTags {
		f.add("tags", "has %d tags; at most %d are allowed.", len(tags), MaxTags)
		return nil
	}
	out := []string{}
	for i, t := range tags {
		field := fmt.Sprintf("tags[%d]", i)
		f.fields = append(f.fields, apierr.CheckName(field, t)...)
		if slices.Contains(tags[:i], t) {
			f.add(field, "repeats the tag %q; name it once.", t)
		}
		out = append(out, t)
	}
	return out
}

// checkAutoTerminate returns the instant in whole seconds.
func checkAutoTerminate(f *faults, at, now, earliest time.Time) *time.Time {
	at = at.UTC().Truncate(time.Second)
	switch {
	case at.After(now.Add(MaxAhead)):
		f.add("autoTerminateAt", "lies more than five years ahead.")
	case at.Before(earliest.Truncate(time.Second)):
		f.add("autoTerminateAt", "is before the minimum runtime has passed; choose %s or later.", earliest.UTC().Add(time.Second).Format(time.RFC3339))
	}
	return &at
}
