# Opens every connection named on the command line at once and says how each ended; resolves the names among them.
# Perl, because Debian's perl-base is in every image of the platform and on the node, and it is one small process.
#
# Arguments: SECONDS, then `ADDRESS=PORT,PORT,...` with ports as `tcp/443` or `udp/53`, or `name:NAME`. An address is
# one of IPv4 or IPv6, with its interface where it is link-local: `fe80::1%eth0`.
# Output: one line each, `ADDRESS PORT OUTCOME` or `name NAME ADDRESS`.
#   open: the other side answered.  refused: the other side's kernel answered, so packets get there and back.
#   silent: nothing came, or the network itself said that it does not carry this.
use strict;
use warnings;
use Errno qw(EINPROGRESS ECONNREFUSED);
use IO::Handle;
use Socket qw(:DEFAULT getaddrinfo AI_NUMERICHOST);

# A DNS question for `localhost`: what answers on UDP answers this, if only to refuse it.
my $question = pack("n6", 0x1234, 0x0100, 1, 0, 0, 0) . "\x09localhost\x00" . pack("n2", 1, 1);
my ($seconds, @wanted) = @ARGV;
my (%waiting, %outcome);

sub ended { $_[0] == 0 ? "open" : $_[0] == ECONNREFUSED ? "refused" : "silent" }

sub start {
  my ($address, $port) = @_;
  my ($protocol, $number) = split m{/}, $port;
  my $key = "$address $port";
  my ($error, $to) = getaddrinfo($address, $number, { flags => AI_NUMERICHOST, socktype => SOCK_STREAM });
  die "$address: $error" if $error;
  socket(my $s, $to->{family}, $protocol eq "udp" ? SOCK_DGRAM : SOCK_STREAM, 0) or die "socket: $!";
  $s->blocking(0);
  if (!connect($s, $to->{addr})) {
    return $outcome{$key} = ended($! + 0) unless $! == EINPROGRESS;
  }
  if ($protocol eq "udp") { send($s, $question, 0) or return $outcome{$key} = ended($! + 0) }
  $waiting{$key} = { socket => $s, udp => $protocol eq "udp" };
}

sub finish {
  my ($key) = @_;
  my $each = delete $waiting{$key};
  if ($each->{udp}) {
    my $got = recv($each->{socket}, my $answer, 512, 0);
    $outcome{$key} = defined $got ? "open" : ended($! + 0);
  } else {
    $outcome{$key} = ended(unpack("i", getsockopt($each->{socket}, SOL_SOCKET, SO_ERROR)));
  }
}

for my $wanted (@wanted) {
  if ($wanted =~ /^name:(.*)/) {
    my $address = inet_aton($1);
    print "name $1 ", defined $address ? inet_ntoa($address) : "unknown", "\n";
    next;
  }
  my ($address, $ports) = split /=/, $wanted;
  start($address, $_) for split /,/, $ports;
}
my $end = time + $seconds;
while (%waiting and time < $end) {
  my ($readable, $writable) = ("", "");
  for my $each (values %waiting) {
    vec($each->{udp} ? $readable : $writable, fileno($each->{socket}), 1) = 1;
  }
  select($readable, $writable, undef, 0.2) > 0 or next;
  for my $key (keys %waiting) {
    my $each = $waiting{$key};
    finish($key) if vec($each->{udp} ? $readable : $writable, fileno($each->{socket}), 1);
  }
}
$outcome{$_} = "silent" for keys %waiting;
print "$_ $outcome{$_}\n" for sort keys %outcome;
