package providertest

import (
	"context"
	"fmt"
	"net"
	"path"
	"slices"
	"strings"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
)

// volumes returns an offer in a region with volumes, and skips the test where the provider has
// none.
func (s *suite) volumes() (provider.VolumeProvider, provider.Offer, provider.VolumePricing) {
	s.Helper()
	p, ok := s.Provider.(provider.VolumeProvider)
	if !ok {
		s.Skip("the provider has no volumes")
	}
	pricing, err := p.VolumePricing(s.Context())
	s.must("VolumePricing", err)
	offers, err := s.Provider.Offers(s.Context())
	s.must("Offers", err)
	if s.OfferKey != "" && !s.offer().Capabilities.Volumes {
		s.Skip("the offer has no volumes")
	}
	for _, in := range pricing {
		for _, o := range offers {
			fits := o.Available && (o.Stock == nil || *o.Stock > 1)
			if s.OfferKey != "" {
				fits = o.Key == s.OfferKey && o.Region == s.Region
			}
			if fits && o.Region == in.Region && o.Capabilities.Volumes {
				return p, o, in
			}
		}
	}
	s.Fatal("no available offer in a region with volumes")
	return nil, provider.Offer{}, provider.VolumePricing{}
}

// volumeRequest returns a request with a new reference, whose volume is deleted with the test.
func (s *suite) volumeRequest(in provider.VolumePricing, name string) provider.VolumeRequest {
	r := provider.VolumeRequest{Reference: s.ids.New(id.Volume), Name: name, Region: in.Region, SizeGB: in.MinSizeGB}
	s.Cleanup(func() {
		p := s.Provider.(provider.VolumeProvider)
		s.until("detached and deleted", volumeLimit, func() (bool, string) {
			detached := p.DetachVolume(context.Background(), r.Reference)
			if detached != nil && provider.KindOf(detached) == provider.KindNotFound {
				detached = nil
			}
			deleted := p.DeleteVolume(context.Background(), r.Reference)
			return detached == nil && deleted == nil, fmt.Sprint(detached, deleted)
		})
	})
	return r
}

// volumeReady creates a volume and waits until it can be attached.
func (s *suite) volumeReady(p provider.VolumeProvider, r provider.VolumeRequest) provider.Volume {
	s.Helper()
	v, err := p.CreateVolume(s.Context(), r)
	s.must("CreateVolume", err)
	if v.ID == "" || v.Reference != r.Reference || v.SizeGB != r.SizeGB || v.Failed || v.AttachedTo != "" {
		s.Fatalf("CreateVolume returned %+v", v)
	}
	return s.untilVolume(p, r.Reference, "ready", func(v provider.Volume) bool { return v.Ready })
}

func (s *suite) untilVolume(
	p provider.VolumeProvider, reference id.ID, what string, check func(provider.Volume) bool,
) provider.Volume {
	s.Helper()
	var v provider.Volume
	s.until(what, volumeLimit, func() (bool, string) {
		var err error
		v, err = p.Volume(s.Context(), reference)
		s.must("Volume", err)
		if v.Failed {
			s.Fatalf("the volume failed: %+v", v)
		}
		return check(v), fmt.Sprintf("%+v", v)
	})
	return v
}

// attached attaches the volume and waits until the machine has it.
func (s *suite) attached(p provider.VolumeProvider, volume, machine id.ID) provider.Volume {
	s.Helper()
	s.must("AttachVolume", p.AttachVolume(s.Context(), volume, machine))
	v := s.untilVolume(p, volume, "attached", func(v provider.Volume) bool { return v.AttachedTo == machine })
	server, share, remote := strings.Cut(v.MountPath, ":/")
	if v.MountPath != "" && !path.IsAbs(v.MountPath) &&
		(!remote || net.ParseIP(strings.Trim(server, "[]")) == nil || share == "") {
		s.Errorf("got the mount path %q, want a path or a share", v.MountPath)
	}
	return v
}

func (s *suite) detached(p provider.VolumeProvider, volume id.ID) {
	s.Helper()
	s.must("DetachVolume", p.DetachVolume(s.Context(), volume))
	s.untilVolume(p, volume, "detached", func(v provider.Volume) bool { return v.AttachedTo == "" })
}

// volumesListed returns what Volumes lists under the references.
func (s *suite) volumesListed(p provider.VolumeProvider, references ...id.ID) []provider.Volume {
	s.Helper()
	all, err := p.Volumes(s.Context())
	s.must("Volumes", err)
	return slices.DeleteFunc(all, func(v provider.Volume) bool { return !slices.Contains(references, v.Reference) })
}

// testTwoVolumes checks that the list has each volume once, as Volume returns it.
func testTwoVolumes(s *suite) {
	p, _, in := s.volumes()
	first, second := s.volumeRequest(in, "first"), s.volumeRequest(in, "second")
	if all := s.volumesListed(p, first.Reference, second.Reference); len(all) != 0 {
		s.Fatalf("listed before they were created: %+v", all)
	}
	for _, r := range []provider.VolumeRequest{first, second} {
		_, err := p.CreateVolume(s.Context(), r)
		s.must("CreateVolume", err)
		if all := s.volumesListed(p, r.Reference); len(all) != 1 {
			s.Fatalf("after CreateVolume Volumes lists %+v", all)
		}
		s.untilVolume(p, r.Reference, "ready", func(v provider.Volume) bool { return v.Ready })
	}
	all := s.volumesListed(p, first.Reference, second.Reference)
	if len(all) != 2 || all[0].Reference == all[1].Reference || all[0].ID == all[1].ID {
		s.Fatalf("Volumes lists %+v", all)
	}
	for _, listed := range all {
		one, err := p.Volume(s.Context(), listed.Reference)
		s.must("Volume", err)
		if one != listed {
			s.Errorf("Volumes lists %+v, Volume returns %+v", listed, one)
		}
	}
	s.must("DeleteVolume", p.DeleteVolume(s.Context(), first.Reference))
	s.until("off the list", volumeLimit, func() (bool, string) {
		left := s.volumesListed(p, first.Reference, second.Reference)
		return len(left) == 1 && left[0].Reference == second.Reference, fmt.Sprintf("%+v", left)
	})
}

func testVolumeLife(s *suite) {
	p, _, in := s.volumes()
	r := s.volumeRequest(in, "conformance")
	v := s.volumeReady(p, r)
	s.must("GrowVolume to the same size", p.GrowVolume(s.Context(), r.Reference, v.SizeGB))
	larger := min(v.SizeGB+10, in.MaxSizeGB)
	s.must("GrowVolume", p.GrowVolume(s.Context(), r.Reference, larger))
	s.must("GrowVolume again", p.GrowVolume(s.Context(), r.Reference, larger))
	s.untilVolume(p, r.Reference, "larger", func(v provider.Volume) bool { return v.SizeGB == larger })
	s.must("DetachVolume of a detached volume", p.DetachVolume(s.Context(), r.Reference))
	s.must("DeleteVolume", p.DeleteVolume(s.Context(), r.Reference))
	s.must("DeleteVolume again at once", p.DeleteVolume(s.Context(), r.Reference))
	s.until("deleted", volumeLimit, func() (bool, string) {
		v, err := p.Volume(s.Context(), r.Reference)
		if err == nil {
			return false, fmt.Sprintf("%+v", v)
		}
		s.wantKind("Volume of a deleted volume", err, provider.KindNotFound)
		return true, ""
	})
	s.must("DeleteVolume of a deleted volume", p.DeleteVolume(s.Context(), r.Reference))
}

func testVolumeCreateAgain(s *suite) {
	p, _, in := s.volumes()
	r := s.volumeRequest(in, "conformance")
	ctx, cancel := context.WithCancel(s.Context())
	go cancel()
	_, _ = p.CreateVolume(ctx, r) // its response is lost, or it never began
	first := s.volumeReady(p, r)
	again, err := p.CreateVolume(s.Context(), r)
	s.must("CreateVolume again", err)
	if again.ID != first.ID {
		s.Errorf("the same reference gave %s, then %s", first.ID, again.ID)
	}
	other := s.volumeRequest(in, "conformance") // a name may be used again
	if v := s.volumeReady(p, other); v.ID == first.ID {
		s.Errorf("two references gave one volume, %s", v.ID)
	}
}

func testVolumeRefusals(s *suite) {
	p, _, in := s.volumes()
	for name, change := range map[string]func(*provider.VolumeRequest){
		"an unknown region": func(r *provider.VolumeRequest) { r.Region = "no-such-region" },
		"too small a size":  func(r *provider.VolumeRequest) { r.SizeGB = in.MinSizeGB - 1 },
		"too large a size":  func(r *provider.VolumeRequest) { r.SizeGB = in.MaxSizeGB + 1 },
	} {
		r := s.volumeRequest(in, "conformance")
		change(&r)
		_, err := p.CreateVolume(s.Context(), r)
		s.wantKind("CreateVolume with "+name, err, provider.KindRejected, provider.KindNotFound)
		_, err = p.Volume(s.Context(), r.Reference)
		s.wantKind("Volume after CreateVolume with "+name, err, provider.KindNotFound)
	}
	r := s.volumeRequest(in, "conformance")
	r.SizeGB = min(in.MinSizeGB+5, in.MaxSizeGB)
	s.volumeReady(p, r)
	if r.SizeGB > 1 {
		s.wantKind("GrowVolume to less", p.GrowVolume(s.Context(), r.Reference, r.SizeGB-1), provider.KindRejected)
	}
	s.wantKind(
		"AttachVolume to an unknown machine", p.AttachVolume(s.Context(), r.Reference, s.ids.New(id.Deployment)),
		provider.KindNotFound,
	)
	if v, err := p.Volume(s.Context(), r.Reference); err != nil || v.SizeGB != r.SizeGB || v.AttachedTo != "" {
		s.Errorf("after the refusals: %+v, %v", v, err)
	}
}

func testVolumeAttachment(s *suite) {
	p, o, in := s.volumes()
	a, b := s.request(o), s.request(o)
	s.launch(a)
	s.launch(b)
	m := s.ready(a.Reference)
	other := s.ready(b.Reference)

	// Two of one name, at once in one machine.
	r, second := s.volumeRequest(in, "data"), s.volumeRequest(in, "data")
	s.volumeReady(p, r)
	s.volumeReady(p, second)
	v := s.attached(p, r.Reference, a.Reference)
	s.must("AttachVolume again", p.AttachVolume(s.Context(), r.Reference, a.Reference))
	if w := s.attached(p, second.Reference, a.Reference); w.MountPath == v.MountPath && w.MountPath != "" {
		s.Errorf("two volumes at %s", v.MountPath)
	}
	s.write(m, v.MountPath+"/file", "on the volume")
	s.wantFile(m, v.MountPath+"/file", "on the volume")

	s.wantKind(
		"AttachVolume to a second machine", p.AttachVolume(s.Context(), r.Reference, b.Reference),
		provider.KindRejected,
	)
	s.wantKind("DeleteVolume of an attached volume", p.DeleteVolume(s.Context(), r.Reference), provider.KindRejected)
	if v, err := p.Volume(s.Context(), r.Reference); err != nil || v.AttachedTo != a.Reference {
		s.Fatalf("after the refusals: %+v, %v", v, err)
	}
	s.wantFile(m, v.MountPath+"/file", "on the volume")

	s.detached(p, r.Reference)
	s.must("DetachVolume again", p.DetachVolume(s.Context(), r.Reference))
	if s.ReadFile != nil {
		if text, err := s.ReadFile(m, v.MountPath+"/file"); err == nil {
			s.Errorf("the file can be read after the volume was detached: %q", text)
		}
	}
	moved := s.attached(p, r.Reference, b.Reference)
	s.wantFile(other, moved.MountPath+"/file", "on the volume")
}

func testVolumeOutlivesItsMachine(s *suite) {
	p, o, in := s.volumes()
	a, b := s.request(o), s.request(o)
	r := s.volumeRequest(in, "kept")
	s.volumeReady(p, r)
	s.launch(a)
	m := s.ready(a.Reference)
	v := s.attached(p, r.Reference, a.Reference)
	s.write(m, v.MountPath+"/file", "of the first machine")
	if reboot, ok := s.Provider.(provider.Rebooter); ok {
		s.must("Reboot", reboot.Reboot(s.Context(), a.Reference))
		m = s.ready(a.Reference)
		s.wantFile(m, v.MountPath+"/file", "of the first machine")
	}
	s.must("Terminate", s.end(s.Context(), a.Reference))
	s.untilGone(s.Context(), a.Reference)
	s.untilVolume(
		p, r.Reference, "detached from the machine that is gone",
		func(v provider.Volume) bool { return v.AttachedTo == "" },
	)
	s.launch(b)
	m = s.ready(b.Reference)
	v = s.attached(p, r.Reference, b.Reference)
	s.wantFile(m, v.MountPath+"/file", "of the first machine")
}
