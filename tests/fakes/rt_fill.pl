# Fills a database of Best Practical RT through RT's own gateway, and prints as JSON lines what RT itself says is in it.
# perl rt_fill.pl REQUESTS; RT_SITE_CONFIG names the config, PERL5LIB holds RT.
use strict;
use warnings;
use utf8;
use Digest::SHA qw(sha256_hex);
use Encode qw(encode_utf8);
use JSON;
use MIME::Base64;
use POSIX qw(strftime);

use RT;
RT::LoadConfig();
RT::Init();
use RT::Interface::Email;

my $requests = shift || 200;
my $system   = $RT::SystemUser;

my $queue = RT::Queue->new($system);
$queue->Create( Name => 'support', CorrespondAddress => 'support@old.example.com', CommentAddress => 'support-comment@old.example.com' );
my $everyone = RT::Group->new($system);
$everyone->LoadSystemInternalGroup('Everyone');
$everyone->PrincipalObj->GrantRight( Right => $_, Object => $RT::System ) for qw(CreateTicket ReplyToTicket SeeQueue);
for my $one ( [ 'jane', 'Jane Doe', 'jane@example.net' ], [ 'carl', 'Carl Boss', 'carl@example.net' ] ) {
    my $user = RT::User->new($system);
    $user->Create( Name => $one->[0], RealName => $one->[1], EmailAddress => $one->[2], Privileged => 1 );
    $user->PrincipalObj->GrantRight( Right => $_, Object => $RT::System )
        for qw(OwnTicket ModifyTicket CommentOnTicket ReplyToTicket ShowTicket ShowTicketComments);
}

sub gateway {
    my ( $action, $raw ) = @_;
    my ( $status, $error, $ticket ) = RT::Interface::Email::Gateway( { action => $action, queue => 'support', message => $raw } );
    die "gateway: $error" unless $status == 1 && $ticket;
    return $ticket->id;
}

sub letter {
    my %given = ( type => 'text/plain; charset=utf-8', encoding => '8bit', @_ );
    my $head = "From: $given{from}\nTo: $given{to}\nSubject: $given{subject}\nMessage-ID: <$given{id}>\n"
        . "Date: Mon, 2 Mar 2026 10:00:00 +0100\nMIME-Version: 1.0\n";
    $head .= "Cc: $given{cc}\n"            if $given{cc};
    $head .= "In-Reply-To: <$given{re}>\n" if $given{re};
    if ( $given{file} ) {
        return encode_utf8("${head}Content-Type: multipart/mixed; boundary=\"b1\"\n\n--b1\nContent-Type: $given{type}\n"
            . "Content-Transfer-Encoding: 8bit\n\n$given{text}\n--b1\n")
            . encode_utf8("Content-Type: application/octet-stream; name=\"$given{name}\"\nContent-Disposition: attachment; "
            . "filename=\"$given{name}\"\nContent-Transfer-Encoding: base64\n\n")
            . encode_base64( $given{file} ) . "--b1--\n";
    }
    if ( $given{html} ) {
        return encode_utf8("${head}Content-Type: multipart/alternative; boundary=\"b2\"\n\n--b2\nContent-Type: $given{type}\n"
            . "Content-Transfer-Encoding: 8bit\n\n$given{text}\n--b2\nContent-Type: text/html; charset=utf-8\n"
            . "Content-Transfer-Encoding: 8bit\n\n<p>$given{html}</p>\n--b2--\n");
    }
    return encode_utf8("${head}Content-Type: $given{type}\nContent-Transfer-Encoding: 8bit\n\n$given{text}\n");
}

for my $n ( 1 .. $requests ) {
    my $customer = "Person $n <person$n\@customer" . ( $n % 13 ) . ".example>";
    my $subject  = $n % 5 ? "Matter number $n" : "Drucker für Büro $n геть";
    my %more;
    %more = ( file => join( '', map { chr( ( $n * 7 + $_ ) % 256 ) } 1 .. 2000 ), name => $n % 2 ? "plan $n.bin" : "Größe $n.bin" )
        if $n % 4 == 0;
    %more = ( html => "Words of $n in <b>HTML</b>" ) if $n % 7 == 3;
    my $id = gateway( 'correspond', letter( from => $customer, to => 'support@old.example.com', subject => $subject, id => "$n.0\@customer.example",
        text => "First words of $n.\n\nГрюезі, die Größe stimmt nicht.", %more ) );
    my $tag = "[old.example.com #$id]";
    my $ticket = RT::Ticket->new($system);
    $ticket->Load($id);
    $ticket->SetPriority( ( 80, 60, 40, 20, 0 )[ $n % 5 ] );
    $ticket->AddWatcher( Type => 'Cc',      Email => "copy$n\@customer" . ( $n % 13 ) . '.example' ) if $n % 3 == 0;
    $ticket->AddWatcher( Type => 'AdminCc', Email => 'carl@example.net' )                           if $n % 6 == 0;
    $ticket->SetOwner( $n % 2 ? 'jane' : 'carl' ) if $n % 3;
    if ( $n % 2 ) {
        gateway( 'correspond', letter( from => 'Jane Doe <jane@example.net>', to => 'support@old.example.com', subject => "Re: $tag $subject",
            id => "$n.1\@example.net", re => "$n.0\@customer.example", text => "An answer to $n.", $n % 8 == 1 ? ( file => "answer $n" x 50, name => 'answer.txt' ) : () ) );
        gateway( 'correspond', letter( from => $customer, to => 'support@old.example.com', subject => "Re: $tag $subject", id => "$n.2\@customer.example",
            text => "More words of $n." ) ) if $n % 3 == 1;
    }
    gateway( 'comment', letter( from => 'Carl Boss <carl@example.net>', to => 'support-comment@old.example.com', subject => "Re: $tag $subject",
        id => "$n.3\@example.net", text => "A remark on $n, among us." ) ) if $n % 4 == 1;
    my $status = { 0 => 'resolved', 1 => 'open', 2 => 'stalled', 3 => 'rejected', 4 => 'resolved' }->{ $n % 10 };
    $ticket->Load($id);
    $ticket->SetStatus($status) if $status && $ticket->Status ne $status;
    if ( $n % 25 == 0 ) { $ticket->MergeInto( $id - 1 ) }
    if ( $n % 20 == 7 ) { $ticket->AddLink( Type => 'RefersTo', Target => $id - 3 ) }
}

# -- what RT says --

my $json = JSON->new->canonical->utf8;
my $tickets = RT::Tickets->new($system);
$tickets->{allow_deleted_search} = 1;
my $handle = $RT::Handle->dbh;
for my $row ( @{ $handle->selectall_arrayref("SELECT id, EffectiveId FROM Tickets WHERE Type = 'ticket' ORDER BY id") } ) {
    my ( $id, $effective ) = @$row;
    if ( $id != $effective ) {
        print $json->encode( { id => $id + 0, merged_into => $effective + 0 } ), "\n";
        next;
    }
    my $ticket = RT::Ticket->new($system);
    $ticket->Load($id);
    my %seen = ( id => $id + 0, subject => $ticket->Subject, status => $ticket->Status, priority => $ticket->Priority + 0,
        owner => $ticket->OwnerObj->EmailAddress || '', created => $ticket->Created,
        requestors => [ sort map { $_->EmailAddress } @{ $ticket->Requestors->UserMembersObj->ItemsArrayRef } ],
        cc         => [ sort map { $_->EmailAddress } @{ $ticket->Cc->UserMembersObj->ItemsArrayRef } ],
        admin_cc   => [ sort map { $_->EmailAddress } @{ $ticket->AdminCc->UserMembersObj->ItemsArrayRef } ],
        words      => [] );
    my $log = $ticket->Transactions;
    while ( my $entry = $log->Next ) {
        next unless $entry->Type =~ /^(?:Create|Correspond|Comment)$/;
        my ( @files, $text );
        my $parts = $entry->Attachments;
        while ( my $part = $parts->Next ) {
            next if $part->ContentType =~ m{^multipart/};
            if ( defined $part->Filename && length $part->Filename ) {
                push @files, { name => $part->Filename, bytes => length( $part->OriginalContent ), sha256 => sha256_hex( $part->OriginalContent ) };
            }
            elsif ( $part->ContentType eq 'text/plain' && !defined $text ) { $text = $part->Content }
        }
        push @{ $seen{words} }, { type => $entry->Type, by => $entry->CreatorObj->EmailAddress || '', at => $entry->Created, text => $text, files => \@files };
    }
    print $json->encode( \%seen ), "\n";
}
