# LWP sends no password before it was asked, and keys it by the realm of the answer.
use strict;
use warnings;
use LWP::UserAgent;

my ($host) = $ENV{RAPI_URL} =~ m{^https://(.*)};
sub status {
    my ($realm) = @_;
    my $agent = LWP::UserAgent->new(keep_alive => 1);
    $agent->ssl_opts(SSL_ca_file => $ENV{CACERT}, verify_hostname => 1);
    $agent->credentials($host, $realm, $ENV{RAPI_USER}, $ENV{RAPI_PASSWORD});
    return $agent->put("$ENV{RAPI_URL}/2/tags?tag=perl");
}
die "another realm got in" unless status("Elsewhere")->code == 401;
my $answer = status("Ganeti Remote API");
die $answer->as_string unless $answer->code == 200 && $answer->decoded_content =~ /^\d+$/;
print "job ", $answer->decoded_content;
